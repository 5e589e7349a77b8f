import {
  type Branch,
  lineageOf,
  type Page,
  type Run,
  useBranches,
  useGetFewBranchesQuery,
} from "@runstone/react";
import { useCallback, useEffect, useMemo, useRef } from "react";
import { useLocation } from "wouter";
import { type Column, Grid } from "../../design/Grid.tsx";
import { Notice, ProblemNotice } from "../../design/Notice.tsx";
import { formatWhole } from "../../format/numbers.ts";
import { text, texts } from "../../location/codecs.ts";
import { useUrlState } from "../../location/useUrlState.ts";
import { useKeptPages } from "../../shell/places.ts";
import { RUN_COLUMNS } from "../runs/columns.tsx";
import styles from "./Tree.module.css";
import { rowsOfAll, rowsOfBranches, type TreeLine } from "./treeRows.ts";

const SCHEMA = { row: text, folded: texts, unfolded: texts };
const NOTHING: readonly string[] = [];
/** No row is lower, on a wide or a narrow page. */
const LOWEST_ROW_PX = 32;

/** The run and all below it, nested by who started whom; sums are of each one's subtree, as the server keeps them.
 *
 * A small tree is there at once and unfolded. Of a large one the children are fetched of what is unfolded alone.
 */
export default function Tree({ run }: { run: Run }) {
  const { data, error } = useGetFewBranchesQuery(run.id);
  if (data === undefined)
    return error === undefined ? <Notice title="Loading…" /> : <ProblemNotice error={error} />;
  return data.next_cursor === null ? <SmallTree run={run} page={data} /> : <LargeTree run={run} />;
}

function SmallTree({ run, page }: { run: Run; page: Page<Run> }) {
  const [{ folded }, set] = useUrlState(SCHEMA);
  const tops = useMemo(() => lineageOf(page.items), [page]);
  const rows = useMemo(() => rowsOfAll(tops, new Set(folded)), [tops, folded]);
  return (
    <TreeGrid
      run={run}
      rows={rows}
      onToggle={(id, expanded) => set({ folded: expanded ? without(folded, id) : [...folded, id] })}
    />
  );
}

function LargeTree({ run }: { run: Run }) {
  const [{ folded, unfolded }, set] = useUrlState(SCHEMA);
  const isTopFolded = folded.includes(run.id);
  const ids = useMemo(() => [run.id, ...(isTopFolded ? NOTHING : unfolded)], [run.id, unfolded, isTopFolded]);
  const { branches, more } = useBranches(ids);
  const rows = useMemo(
    () => rowsOfBranches(run.id, branches, new Set(isTopFolded ? [] : ids)),
    [run.id, branches, ids, isTopFolded],
  );
  const problem = [...branches.values()].find((branch) => branch.error !== undefined)?.error;
  // At first with all that was unfolded, so that who comes back finds their place; later each comes when it comes.
  const isReady = useRef(false);
  isReady.current ||= ids.every((id) => isKnown(branches.get(id)));
  if (rows.length === 0 || !isReady.current)
    return problem === undefined ? <Notice title="Loading…" /> : <ProblemNotice error={problem} />;
  return (
    <TreeGrid
      run={run}
      rows={rows}
      more={more}
      onToggle={(id, expanded) =>
        id === run.id
          ? set({ folded: expanded ? without(folded, id) : [...folded, id] })
          : set({ unfolded: expanded ? [...unfolded, id] : without(unfolded, id) })
      }
    />
  );
}

/** Whether its children were asked for and came, or could not come. */
function isKnown(branch: Branch | undefined): boolean {
  return branch !== undefined && (branch.run !== null || branch.error !== undefined);
}

interface TreeProps {
  run: Run;
  rows: ReturnType<typeof rowsOfBranches>;
  onToggle: (id: string, expanded: boolean) => void;
  more?: (id: string) => void;
}

function TreeGrid({ run, rows, onToggle, more }: TreeProps) {
  const [{ row }, set] = useUrlState(SCHEMA);
  const [, navigate] = useLocation();
  const columns = useMemo(() => columnsOf(more ?? (() => {})), [more]);
  const rest = rows.findLast((one) => "more" in one.value)?.value;
  const onRest = useCallback(() => {
    if (rest !== undefined && "more" in rest && !rest.isFetching) more?.(rest.parentId);
  }, [rest, more]);
  const { scroll, reaches } = useKeptPages(`tree:${run.id}`, {
    rows: rows.length,
    height: LOWEST_ROW_PX,
    hasMore: rest !== undefined,
    more: onRest,
  });
  if (!reaches) return <Notice title="Loading…" />;
  return (
    <div className={styles.tree}>
      <Grid
        tree
        label="Runs below this one"
        columns={columns}
        rows={rows}
        selected={row || null}
        onSelect={(key) => set({ row: key })}
        onOpen={(id) => {
          if (id === run.id || id.startsWith("more ")) return;
          navigate(`/runs/${encodeURIComponent(id)}?tab=tree`);
        }}
        onToggle={onToggle}
        scroll={scroll}
      />
    </div>
  );
}

/** The columns of runs; a row that stands for children that are still to be fetched says how many. */
function columnsOf(more: (id: string) => void): Column<TreeLine>[] {
  return RUN_COLUMNS.map((column, index) => ({
    ...column,
    cell: (line) => {
      if (!("more" in line)) return column.cell(line);
      return index === 0 ? <More key={line.more} line={line} more={more} /> : null;
    },
  }));
}

/** Seen, it has the next children fetched. */
function More({ line, more }: { line: Extract<TreeLine, { more: number }>; more: (id: string) => void }) {
  const { parentId, isFetching } = line;
  useEffect(() => {
    if (!isFetching) more(parentId);
  }, [more, parentId, isFetching]);
  return <span className={styles.more}>{formatWhole(line.more)} more…</span>;
}

function without(list: readonly string[], one: string): string[] {
  return list.filter((other) => other !== one);
}
