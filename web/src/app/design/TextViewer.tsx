import { useDeferredValue, useMemo, useRef, useState } from "react";
import { formatWhole } from "../format/numbers.ts";
import { visible } from "../format/visible.ts";
import { Button } from "./Button.tsx";
import styles from "./TextViewer.module.css";
import { cutLines, hitsOf } from "./textLines.ts";
import { useLines } from "./useLines.ts";
import viewer from "./viewer.module.css";

const HEIGHT = 20;

/** A long text by lines, of which only those in view are in the page: megabytes of it are as light as a page. */
export function TextViewer({ text, label }: { text: string; label: string }) {
  const [find, setFind] = useState("");
  const [at, setAt] = useState(0);
  const wanted = useDeferredValue(find);
  const lines = useMemo(() => cutLines(text), [text]);
  const hits = useMemo(() => hitsOf(lines, wanted), [lines, wanted]);
  const scroller = useRef<HTMLDivElement>(null);
  const seen = useLines({ count: lines.length, height: HEIGHT, scroller, overscan: 10 });
  const goTo = (index: number) => {
    if (hits.length === 0) return;
    const next = (index + hits.length) % hits.length;
    setAt(next);
    seen.scrollTo(hits[next] ?? 0, "center");
  };
  const current = hits[Math.min(at, hits.length - 1)];
  return (
    <div className={viewer.viewer}>
      <div className={viewer.bar}>
        <input
          type="search"
          className={viewer.find}
          placeholder="Find in this text"
          aria-label={`Find in ${label}`}
          value={find}
          onChange={(event) => {
            setFind(event.target.value);
            setAt(0);
          }}
          onKeyDown={(event) => {
            if (event.key === "Enter") goTo(event.shiftKey ? at - 1 : at + (current === undefined ? 0 : 1));
          }}
        />
        <span role="status">
          {wanted === "" ? `${formatWhole(lines.length)} lines` : `${formatWhole(hits.length)} lines found`}
        </span>
        {hits.length > 0 ? (
          <>
            <Button onClick={() => goTo(at - 1)} aria-label="The one before">
              ↑
            </Button>
            <Button onClick={() => goTo(at + 1)} aria-label="The next one">
              ↓
            </Button>
          </>
        ) : null}
        <Button onClick={() => void navigator.clipboard.writeText(text)}>Copy all</Button>
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls is reached by keyboard */}
      <section ref={scroller} className={styles.scroller} aria-label={label} tabIndex={0}>
        <div className={styles.lines} style={{ height: seen.total }}>
          {lines.slice(seen.first, seen.last).map((line, at) => {
            const index = seen.first + at;
            return (
              <bdi
                key={index}
                className={`${styles.line} ${index === current ? viewer.hit : ""}`}
                style={{ transform: `translateY(${index * HEIGHT}px)` }}
              >
                {visible(line)}
              </bdi>
            );
          })}
        </div>
      </section>
    </div>
  );
}
