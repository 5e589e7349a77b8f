import { type RefObject, useCallback, useLayoutEffect, useRef, useState } from "react";
import { flushSync } from "react-dom";

interface Options {
  count: number;
  /** Of each line, in pixels: lines of one height need no measuring, so that a million of them cost no more than ten. */
  height: number;
  scroller: RefObject<HTMLElement | null>;
  /** So many lines beyond what is in view, at both ends. */
  overscan?: number;
  /** Where it begins. */
  initialTop?: number;
  /** The last lines are in view, however many there come to be. */
  atEnd?: boolean;
  /** It was scrolled, by whomever. */
  onScroll?: (box: HTMLElement) => void;
}

export interface Lines {
  /** The lines to draw: from this one ... */
  first: number;
  /** ... to before this one. */
  last: number;
  /** How many fit into the view, at least in part. */
  inView: number;
  /** The height of all lines, in pixels. */
  total: number;
  scrollTo: (line: number, align?: "auto" | "center") => void;
  /** Scrolls to so many pixels from the top. */
  scrollToTop: (top: number) => void;
}

/** Which of many lines of one height are in view. */
export function useLines(options: Options): Lines {
  const { count, height, scroller, overscan = 6, initialTop = 0, atEnd = false } = options;
  const [line, setLine] = useState(() => Math.floor(initialTop / height));
  const [view, setView] = useState(0);
  const now = useRef({ line, height, onScroll: options.onScroll });
  now.current.height = height;
  now.current.onScroll = options.onScroll;
  const total = count * height;
  useLayoutEffect(() => {
    const box = scroller.current;
    if (box === null) return;
    const measure = () => setView(box.clientHeight);
    const onScroll = () => {
      const at = Math.floor(box.scrollTop / now.current.height);
      // In the frame of the scrolling itself: later the lines would be empty for a moment.
      flushSync(() => {
        if (at !== now.current.line) setLine(at);
        now.current.line = at;
        now.current.onScroll?.(box);
      });
    };
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(box);
    box.addEventListener("scroll", onScroll, { passive: true });
    return () => {
      observer.disconnect();
      box.removeEventListener("scroll", onScroll);
    };
  }, [scroller]);
  const scrollToTop = useCallback(
    (top: number) => {
      const box = scroller.current;
      if (box === null) return;
      box.scrollTop = top;
      now.current.line = Math.floor(box.scrollTop / now.current.height);
      setLine(now.current.line);
    },
    [scroller],
  );
  // biome-ignore lint/correctness/useExhaustiveDependencies: where it begins is asked for once
  useLayoutEffect(() => {
    if (initialTop > 0) scrollToTop(initialTop);
  }, []);
  useLayoutEffect(() => {
    const box = scroller.current;
    if (!atEnd || box === null) return;
    box.scrollTop = Math.max(0, total - view);
    // What is drawn is the end anyway: that it moved there need not be drawn once more.
    now.current.line = Math.floor(box.scrollTop / now.current.height);
  }, [atEnd, total, view, scroller]);
  const scrollTo = (to: number, align: "auto" | "center" = "auto") => {
    const box = scroller.current;
    if (box === null) return;
    const seen = box.clientHeight;
    // A head that stays above the lines takes of the view.
    const head = Math.max(0, box.scrollHeight - Math.max(total, seen));
    const [top, bottom] = [to * height, (to + 1) * height + head - seen];
    if (align === "center") scrollToTop(Math.max(0, top - (seen - head - height) / 2));
    else if (top < box.scrollTop) scrollToTop(top);
    else if (bottom > box.scrollTop) scrollToTop(bottom);
  };
  const inView = Math.ceil(view / height) + 1;
  // Where lines went away, the last ones are in view.
  const top = Math.max(0, Math.min(atEnd ? count : line, count - inView));
  return {
    first: Math.max(0, top - overscan),
    last: Math.min(count, top + inView + overscan),
    inView,
    total,
    scrollTo,
    scrollToTop,
  };
}
