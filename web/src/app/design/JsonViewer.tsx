import { useDeferredValue, useMemo, useState } from "react";
import { Button } from "./Button.tsx";
import { Grid } from "./Grid.tsx";
import styles from "./JsonViewer.module.css";
import { type JsonLine, linesOf, matchesOf } from "./jsonLines.ts";
import viewer from "./viewer.module.css";

const NOTHING: ReadonlySet<string> = new Set();
/** A value is cut at that many characters in its line; copying gives all of it. */
const SHOWN_CHARS = 400;

/** A value as a tree whose lines are made as they are unfolded; found text is unfolded. All of it is text. */
export function JsonViewer({ value, label }: { value: unknown; label: string }) {
  const [folds, setFolds] = useState<ReadonlyMap<string, boolean>>(new Map());
  const [find, setFind] = useState("");
  const [selected, setSelected] = useState<string | null>(null);
  const wanted = useDeferredValue(find);
  const found = useMemo(() => (wanted === "" ? null : matchesOf(value, wanted)), [value, wanted]);
  const lines = useMemo(() => linesOf(value, folds, found?.ancestors ?? NOTHING), [value, folds, found]);
  const rows = lines.map((line) => ({
    key: line.path,
    value: line,
    level: line.depth + 1,
    ...(line.size !== undefined && { expanded: line.unfolded }),
  }));
  const columns = useMemo(
    () => [{ name: "Value", width: "1fr", cell: (one: JsonLine) => <Line line={one} find={wanted} /> }],
    [wanted],
  );
  const line = lines.find((one) => one.path === selected);
  return (
    <div className={viewer.viewer}>
      <div className={viewer.bar}>
        <input
          type="search"
          className={viewer.find}
          placeholder="Find in this value"
          aria-label={`Find in ${label}`}
          value={find}
          onChange={(event) => setFind(event.target.value)}
        />
        <span role="status">{found === null ? "" : `${found.count}${found.cut ? "+" : ""} found`}</span>
        <Button onClick={() => void copy(line === undefined ? value : line.value)}>
          {line === undefined ? "Copy all" : "Copy value"}
        </Button>
        {line === undefined ? null : <Button onClick={() => void copy(line.path)}>Copy path</Button>}
      </div>
      <Grid
        tree
        dense
        label={label}
        columns={columns}
        rows={rows}
        selected={selected}
        onSelect={setSelected}
        onToggle={(path, unfolded) => setFolds(new Map(folds).set(path, unfolded))}
      />
    </div>
  );
}

function Line({ line, find }: { line: JsonLine; find: string }) {
  const hit = find !== "" && `${line.name} ${line.text}`.toLowerCase().includes(find.toLowerCase());
  const cut = line.text.length > SHOWN_CHARS;
  return (
    <code className={hit ? viewer.hit : undefined}>
      {line.name === "" ? null : <span className={styles.name}>{line.name}: </span>}
      <span className={styles[line.kind]}>{cut ? line.text.slice(0, SHOWN_CHARS) : line.text}</span>
      {cut ? <span className={styles.name}> … {line.text.length} characters</span> : null}
    </code>
  );
}

async function copy(value: unknown): Promise<void> {
  await navigator.clipboard.writeText(typeof value === "string" ? value : JSON.stringify(value, null, 2));
}
