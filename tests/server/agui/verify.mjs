// Reads a run's AG-UI stream as the official client does: SSE frames, the schemas, then verifyEvents.
// usage: node verify.mjs URL TOKEN; prints one JSON object: the types in order, and what was wrong, if anything.
import { EventSchemas } from "@ag-ui/core/schemas";
import { verifyEvents } from "@ag-ui/client";
import { from, lastValueFrom, toArray } from "rxjs";

const [url, token] = process.argv.slice(2);
const answer = await fetch(url, { headers: { authorization: `Bearer ${token}`, accept: "text/event-stream" } });
const text = await answer.text();
const events = [];
const wrong = [];
for (const frame of text.split("\n\n")) {
  const data = frame.split("\n").filter((line) => line.startsWith("data:")).map((line) => line.slice(5));
  if (data.length === 0) continue;
  const event = JSON.parse(data.join("\n"));
  const parsed = EventSchemas.safeParse(event);
  if (!parsed.success) wrong.push(`${event.type}: ${parsed.error.message}`);
  events.push(event);
}
try {
  const passed = await lastValueFrom(from(events).pipe(verifyEvents(false), toArray()));
  if (passed.length !== events.length) wrong.push(`${passed.length} of ${events.length} events passed`);
} catch (error) {
  wrong.push(`verifyEvents: ${error.message}`);
}
console.log(JSON.stringify({ status: answer.status, events, wrong }));
