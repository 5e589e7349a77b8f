/** Longer lines go on in the next one: a browser takes seconds for one line of megabytes. */
const LINE_CHARS = 400;
const MOST_HITS = 10_000;

/** A text's lines, each of a length that can be drawn. */
export function cutLines(text: string): string[] {
  const lines: string[] = [];
  for (const line of text.split("\n")) {
    if (line.length <= LINE_CHARS) lines.push(line);
    else for (let at = 0; at < line.length; at += LINE_CHARS) lines.push(line.slice(at, at + LINE_CHARS));
  }
  return lines;
}

/** The places of the lines that have it. */
export function hitsOf(lines: readonly string[], find: string): number[] {
  if (find === "") return [];
  const wanted = find.toLowerCase();
  const hits: number[] = [];
  for (let index = 0; index < lines.length && hits.length < MOST_HITS; index += 1)
    if (lines[index]?.toLowerCase().includes(wanted)) hits.push(index);
  return hits;
}
