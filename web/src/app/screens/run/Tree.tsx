import { type LineageNode, lineageOf, type Run, useGetTreeQuery } from "@runstone/react";
import { useMemo } from "react";
import { useLocation } from "wouter";
import { Grid, type Row } from "../../design/Grid.tsx";
import { Notice, ProblemNotice } from "../../design/Notice.tsx";
import { text, texts } from "../../location/codecs.ts";
import { useUrlState } from "../../location/useUrlState.ts";
import { useKeptScroll } from "../../shell/places.ts";
import { RUN_COLUMNS } from "../runs/columns.tsx";
import styles from "./Tree.module.css";

const SCHEMA = { row: text, folded: texts };

/** The run and all below it, nested by who started whom; sums are of each one's subtree, as the server keeps them. */
export default function Tree({ run }: { run: Run }) {
  const { data, error } = useGetTreeQuery(run.id);
  const [state, set] = useUrlState(SCHEMA);
  const [, navigate] = useLocation();
  const scroll = useKeptScroll(`tree:${run.id}`);
  const tops = useMemo(() => lineageOf(data ?? []), [data]);
  const rows = useMemo(() => rowsOf(tops, new Set(state.folded)), [tops, state.folded]);
  if (rows.length === 0)
    return error === undefined ? <Notice title="Loading…" /> : <ProblemNotice error={error} />;
  return (
    <div className={styles.tree}>
      <Grid
        tree
        label="Runs below this one"
        columns={RUN_COLUMNS}
        rows={rows}
        selected={state.row || null}
        scroll={scroll}
        onSelect={(row) => set({ row })}
        onOpen={(id) => (id === run.id ? undefined : navigate(`/runs/${encodeURIComponent(id)}?tab=tree`))}
        onToggle={(id, expanded) =>
          set({ folded: expanded ? state.folded.filter((one) => one !== id) : [...state.folded, id] })
        }
      />
    </div>
  );
}

/** The lines of what is unfolded, in order; a stack, as a tree may be deeper than calls can be. */
function rowsOf(tops: readonly LineageNode[], folded: ReadonlySet<string>): Row<Run>[] {
  const rows: Row<Run>[] = [];
  const left = tops.map((node) => ({ node, level: 1 })).reverse();
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    const { node, level } = next;
    const expanded = node.children.length === 0 ? undefined : !folded.has(node.run.id);
    rows.push({ key: node.run.id, value: node.run, level, ...(expanded !== undefined && { expanded }) });
    if (expanded) left.push(...node.children.map((child) => ({ node: child, level: level + 1 })).reverse());
  }
  return rows;
}
