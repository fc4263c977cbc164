// Settings of @hey-api/openapi-ts. Node loads modules by their full names.
export default {
  input: "../../docs/openapi.yaml",
  output: { path: "build/hey_api", importFileExtension: ".js" },
  plugins: ["@hey-api/client-fetch", "@hey-api/typescript", "@hey-api/sdk"],
};
