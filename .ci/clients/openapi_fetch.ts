// Calls with openapi-fetch on the types of openapi-typescript: no cast, no `any`, no `!`.
import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { components, paths } from "./build/openapi_fetch.js";
import { server, token } from "./environment.js";

const client = createClient<paths>({
  baseUrl: server,
  headers: { Authorization: `Bearer ${token}` },
});

function result<Data>(answer: { data?: Data; error?: components["schemas"]["Problem"] }): Data {
  if (answer.data === undefined) throw new Error(JSON.stringify(answer.error));
  return answer.data;
}

const findingType = result(
  await client.POST("/api/v1/finding-types/", { body: { name: "Gap of openapi-fetch" } }),
);
const otherType = result(
  await client.POST("/api/v1/finding-types/", { body: { name: "Risk of openapi-fetch" } }),
);
const finding = result(
  await client.POST("/api/v1/findings/", {
    body: { title: "No data", entity_name_type: findingType.cuid, external_id: "F-1" },
    params: { header: { "Idempotency-Key": "openapi-fetch" } },
  }),
);
const workflow = result(
  await client.POST("/api/v1/workflows/", {
    body: { title: "Close a gap", state: "active", entity_name_type: findingType.cuid },
  }),
);
const version = result(
  await client.POST("/api/v1/workflows/{cuid}/{version}/", {
    params: { path: { cuid: workflow.cuid, version: 1 } },
    body: {
      nodes: [
        { id: "start", type: "start" },
        {
          id: "review",
          type: "user_action",
          data: {
            title: "Review the gap",
            fields: [{ name: "verdict", type: "choice", choices: ["close", "keep"], required: true }],
          },
        },
        { id: "end", type: "end" },
      ],
      edges: [
        { source: "start", target: "review" },
        { source: "review", target: "end" },
      ],
    },
  }),
);
const review = version.nodes.find((node) => node.type === "user_action");
assert.equal(review?.data?.fields?.[0]?.name, "verdict");

const execution = result(
  await client.POST("/api/v1/executions/", {
    body: { workflow: workflow.cuid, entity: finding.cuid },
  }),
);
assert.equal(execution.status, "waiting");

const tasks = result(
  await client.GET("/api/v1/tasks/", { params: { query: { workflow: [workflow.cuid] } } }),
);
const [task] = tasks.results;
assert.equal(task?.form?.fields[0]?.type, "choice");

const change = await client.POST("/api/v1/workflows/change-entity-context/", {
  body: { workflows: [workflow.cuid], entity_name_type: otherType.cuid },
});
assert.equal(change.error?.code, "active_executions");
assert.equal(change.error?.blockers?.executions[0]?.cuid, execution.cuid);
assert.ok(change.error?.remedies?.some((remedy) => remedy.code === "finish_or_cancel"));

const submit = {
  params: { path: { cuid: execution.cuid } },
  body: { step: task?.cuid ?? "", data: { verdict: "close" } },
};
const completed = result(await client.POST("/api/v1/executions/{cuid}/submit/", submit));
assert.equal(completed.status, "completed");
const late = await client.POST("/api/v1/executions/{cuid}/submit/", submit);
assert.equal(late.error?.status, 409);

const path = { cuid: finding.cuid };
const { response } = await client.GET("/api/v1/findings/{cuid}/", { params: { path } });
const header = { "If-Match": response.headers.get("ETag") ?? "" };
const retitled = result(
  await client.PATCH("/api/v1/findings/{cuid}/", {
    params: { path, header },
    body: { title: "Closed" },
  }),
);
assert.equal(retitled.title, "Closed");
const stale = await client.PATCH("/api/v1/findings/{cuid}/", {
  params: { path, header },
  body: { title: "Mine" },
});
assert.equal(stale.error?.code, "precondition_failed");

const saved = result(
  await client.POST("/api/v1/findings/bulk/", {
    body: {
      items: [
        { title: "Closed", entity_name_type: findingType.cuid, external_id: "F-1" },
        { title: "New", entity_name_type: findingType.cuid, external_id: "F-2" },
      ],
    },
  }),
);
assert.deepEqual(saved.results.map((row) => row.status), [200, 201]);

const titles: string[] = [];
let cursor: string | null = "";
while (cursor !== null) {
  const page: components["schemas"]["FindingPage"] = result(
    await client.GET("/api/v1/findings/", {
      params: {
        query: {
          external_id__in: ["F-1", "F-2"],
          entity_name_type: [findingType.cuid],
          page_size: 1,
          ordering: "title",
          ...(cursor && { cursor }),
        },
      },
    }),
  );
  titles.push(...page.results.map((row) => row.title));
  cursor = page.next && new URL(page.next).searchParams.get("cursor");
}
assert.deepEqual(titles, ["Closed", "New"]);

const audit = result(
  await client.GET("/api/v1/audit/", { params: { query: { cuid: [finding.cuid] } } }),
);
assert.ok(audit.results.some((entry) => entry.after?.["title"] === "Closed"));
console.log("openapi-fetch: all calls");
