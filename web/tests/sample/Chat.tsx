import { configureStore } from "@reduxjs/toolkit";
import {
  canResume,
  RunstoneProvider,
  runstoneApi,
  runstoneReducers,
  type SubagentActivity,
  selectChildren,
  selectToolTimeline,
  type ToolTimelineEntry,
  useChatThread,
} from "@runstone/react";
import { useState } from "react";
import { Provider, useSelector } from "react-redux";

function createStore() {
  return configureStore({
    reducer: { ...runstoneReducers },
    middleware: (before) => before().concat(runstoneApi.middleware),
  });
}

type State = ReturnType<ReturnType<typeof createStore>["getState"]>;

/** A chat that shows what its agents do. */
export function Chat({ threadId }: { threadId: string }) {
  const [store] = useState(createStore);
  return (
    <Provider store={store}>
      <RunstoneProvider baseUrl="/api/v1">
        <Timeline threadId={threadId} />
      </RunstoneProvider>
    </Provider>
  );
}

function Timeline({ threadId }: { threadId: string }) {
  const problem = useChatThread(threadId);
  const entries: ToolTimelineEntry[] = useSelector((state: State) => selectToolTimeline(state, threadId));
  return (
    <ol aria-label="Timeline">
      {problem === null ? null : <li role="alert">The ledger does not answer.</li>}
      {entries.map((entry) => (
        <li key={entry.id}>
          {entry.displayName ?? entry.name}: {entry.status}
          {entry.subagent === undefined ? null : <Subagent threadId={threadId} activity={entry.subagent} />}
        </li>
      ))}
    </ol>
  );
}

function Subagent({ threadId, activity }: { threadId: string; activity: SubagentActivity }) {
  const children = useSelector((state: State) => selectChildren(state, threadId, activity.taskId));
  return (
    <div>
      {activity.toolCalls.map((call) => (
        <span key={call.callId}>
          {call.toolName} {call.status}
        </span>
      ))}
      {activity.transcript?.map((line) => (
        <p key={line.id}>{line.text}</p>
      ))}
      {canResume(activity.status) ? <button type="button">Resume {activity.taskId}</button> : null}
      {children.map((child) => (
        <Subagent key={child.taskId} threadId={threadId} activity={child} />
      ))}
    </div>
  );
}
