import {
  type Checkpoint,
  type Run,
  useGetCheckpointStateQuery,
  useGetCheckpointsQuery,
} from "@runstone/react";
import { lazy, Suspense, useState } from "react";
import { Age } from "../../../design/Age.tsx";
import { Button } from "../../../design/Button.tsx";
import { type Column, Grid } from "../../../design/Grid.tsx";
import { Notice, ProblemNotice } from "../../../design/Notice.tsx";
import { formatBytes, formatWhole } from "../../../format/numbers.ts";
import { formatTime } from "../../../format/times.ts";
import { visible } from "../../../format/visible.ts";
import { text } from "../../../location/codecs.ts";
import { useUrlState } from "../../../location/useUrlState.ts";
import { useKeptScroll } from "../../../shell/places.ts";
import { SHOWN_BYTES, ValueView } from "../values/StoredValueView.tsx";
import styles from "./Checkpoints.module.css";
import { Difference } from "./Difference.tsx";
import { Moments } from "./Moments.tsx";

const ForkDialog = lazy(() => import("../../../orders/ForkDialog.tsx"));

/** The checkpoint, and the one that it is compared with: a link to a pair leads to the same two. */
const SCHEMA = { checkpoint: text, against: text };

const COLUMNS: readonly Column<Checkpoint>[] = [
  { name: "No.", width: "3rem", align: "end", narrow: "first", cell: (one) => one.number },
  {
    name: "Label",
    width: "minmax(5rem, 1fr)",
    narrow: "first",
    cell: (one) => (one.label === null ? <span className={styles.quiet}>no label</span> : visible(one.label)),
  },
  {
    name: "Stored",
    width: "5rem",
    align: "end",
    narrow: "second",
    cell: (one) => formatBytes(one.stored_bytes),
  },
  {
    name: "Saved",
    width: "4rem",
    align: "end",
    narrow: "second",
    cell: (one) => <Age at={one.created_at} />,
  },
];

/** The saved states of a run: each to look at, any two to compare, and each to fork from. */
export default function Checkpoints({ run }: { run: Run }) {
  const { data, error } = useGetCheckpointsQuery(run.id);
  const [state, set] = useUrlState(SCHEMA);
  const [forking, setForking] = useState(false);
  const scroll = useKeptScroll(`checkpoints:${run.id}`);
  if (data === undefined)
    return error === undefined ? <p className={styles.quiet}>Loading…</p> : <ProblemNotice error={error} />;
  const newest = data.items.at(-1);
  if (newest === undefined)
    return (
      <Notice title="It has saved no state.">
        <p>
          <code>run.checkpoint(state)</code> saves one, from which it can go on or be forked.
        </p>
      </Notice>
    );
  const chosen = data.items.find((one) => String(one.number) === state.checkpoint) ?? newest;
  const against = data.items.find((one) => String(one.number) === state.against && one !== chosen);
  const choose = (number: string) => set({ checkpoint: number });
  const rows = [...data.items].reverse().map((one) => ({ key: String(one.number), value: one }));
  return (
    <div className={styles.checkpoints}>
      <div className={styles.side}>
        <Moments checkpoints={data.items} chosen={chosen} against={against} onChoose={choose} />
        <Grid
          label="Checkpoints, the newest first"
          columns={COLUMNS}
          rows={rows}
          selected={String(chosen.number)}
          scroll={scroll}
          onSelect={choose}
        />
      </div>
      <section className={styles.main} aria-label={`Checkpoint ${chosen.number}`}>
        <div className={styles.bar}>
          <h2>Checkpoint {formatWhole(chosen.number)}</h2>
          <span className={styles.quiet}>
            {formatTime(chosen.created_at)}, attempt {chosen.attempt}
          </span>
          <label className={styles.against}>
            Compare with
            <select
              value={against === undefined ? "" : String(against.number)}
              onChange={(event) =>
                set({ checkpoint: String(chosen.number), against: event.target.value }, { push: true })
              }
            >
              <option value="">nothing</option>
              {rows
                .filter((row) => row.value !== chosen)
                .map((row) => (
                  <option key={row.key} value={row.key}>
                    {row.key}
                    {row.value.label === null ? "" : `: ${visible(row.value.label).slice(0, 60)}`}
                  </option>
                ))}
            </select>
          </label>
          <Button onClick={() => setForking(true)}>Fork from here</Button>
        </div>
        {against === undefined ? (
          <State key={chosen.number} run={run} number={chosen.number} />
        ) : (
          <Difference runId={run.id} before={against.number} after={chosen.number} />
        )}
      </section>
      {forking ? (
        <Suspense fallback={null}>
          <ForkDialog run={run} checkpoint={chosen.number} onClose={() => setForking(false)} />
        </Suspense>
      ) : null}
    </div>
  );
}

/** More than that is for the command line. */
const MOST_BYTES = 16 * 1024 * 1024;

function State({ run, number }: { run: Run; number: number }) {
  const [maxBytes, setMaxBytes] = useState(SHOWN_BYTES);
  const { data, error, isFetching } = useGetCheckpointStateQuery({ runId: run.id, number, maxBytes });
  if (data === undefined)
    return error === undefined ? <p className={styles.quiet}>Loading…</p> : <ProblemNotice error={error} />;
  if (!data.cut) return <ValueView value={data.state} label="State" />;
  const bytes = data.bytes ?? 0;
  return (
    <Notice title={`The state has ${formatBytes(bytes)}`}>
      <p>So much is not loaded by itself.</p>
      {bytes <= MOST_BYTES ? (
        <Button disabled={isFetching} onClick={() => setMaxBytes(MOST_BYTES)}>
          {isFetching ? "Loading…" : `Load ${formatBytes(bytes)}`}
        </Button>
      ) : (
        <code>
          runstone runs checkpoints {run.id} {number}
        </code>
      )}
    </Notice>
  );
}
