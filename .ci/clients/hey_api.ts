// Calls with the functions that @hey-api/openapi-ts generates: no cast, no `any`, no `!`.
import assert from "node:assert/strict";
import * as api from "./build/hey_api/index.js";
import { client } from "./build/hey_api/client.gen.js";
import { server, token } from "./environment.js";

client.setConfig({ baseUrl: server, auth: token });

function result<Data>(answer: { data: Data | undefined; error: unknown }): Data {
  if (answer.data === undefined) throw new Error(JSON.stringify(answer.error));
  return answer.data;
}

const findingType = result(await api.findingTypesCreate({ body: { name: "Gap of hey-api" } }));
const otherType = result(await api.findingTypesCreate({ body: { name: "Risk of hey-api" } }));
const finding = result(
  await api.findingsCreate({
    body: { title: "No data", entity_name_type: findingType.cuid, external_id: "F-1" },
    headers: { "Idempotency-Key": "hey-api" },
  }),
);
const workflow = result(
  await api.workflowsCreate({
    body: { title: "Close a gap", state: "active", entity_name_type: findingType.cuid },
  }),
);
const version = result(
  await api.workflowVersionsSaveGraph({
    path: { cuid: workflow.cuid, version: 1 },
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
  await api.executionsCreate({ body: { workflow: workflow.cuid, entity: finding.cuid } }),
);
assert.equal(execution.status, "waiting");

const tasks = result(await api.tasksList({ query: { workflow: [workflow.cuid] } }));
const [task] = tasks.results;
assert.equal(task?.form?.fields[0]?.type, "choice");

const change = await api.workflowsChangeEntityContext({
  body: { workflows: [workflow.cuid], entity_name_type: otherType.cuid },
});
assert.equal(change.error?.code, "active_executions");
assert.equal(change.error?.blockers?.executions[0]?.cuid, execution.cuid);
assert.ok(change.error?.remedies?.some((remedy) => remedy.code === "finish_or_cancel"));

const submit = {
  path: { cuid: execution.cuid },
  body: { step: task?.cuid ?? "", data: { verdict: "close" } },
};
const completed = result(await api.executionsSubmit(submit));
assert.equal(completed.status, "completed");
const late = await api.executionsSubmit(submit);
assert.equal(late.error?.status, 409);

const path = { cuid: finding.cuid };
const { response } = await api.findingsRetrieve({ path });
const headers = { "If-Match": response?.headers.get("ETag") ?? "" };
const body = { title: "Closed" };
const retitled = result(await api.findingsPartialUpdate({ path, headers, body }));
assert.equal(retitled.title, "Closed");
const stale = await api.findingsPartialUpdate({ path, headers, body: { title: "Mine" } });
assert.equal(stale.error?.code, "precondition_failed");

const saved = result(
  await api.findingsBulk({
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
  const page: api.FindingPage = result(
    await api.findingsList({
      query: {
        external_id__in: ["F-1", "F-2"],
        entity_name_type: [findingType.cuid],
        page_size: 1,
        ordering: "title",
        ...(cursor && { cursor }),
      },
    }),
  );
  titles.push(...page.results.map((row) => row.title));
  cursor = page.next && new URL(page.next).searchParams.get("cursor");
}
assert.deepEqual(titles, ["Closed", "New"]);

const audit = result(await api.auditList({ query: { cuid: [finding.cuid] } }));
assert.ok(audit.results.some((entry) => entry.after?.["title"] === "Closed"));
console.log("hey-api: all calls");
