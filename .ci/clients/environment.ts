// The server and the token that run starts.
function read(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`Set ${name}.`);
  return value;
}

export const server = read("HOLDFAST");
export const token = read("TOKEN");
