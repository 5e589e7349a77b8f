/** Characters that change how others are shown: directions, and what a terminal would obey. Lines and tabs stay. */
const HIDDEN = /(?![\t\n\r])[\p{Cc}\p{Bidi_Control}]/gu;

/** The text with such characters as signs that can be seen, so that none of them can make a text look like another. */
export function visible(text: string): string {
  return text.replace(HIDDEN, (found) => {
    const code = found.codePointAt(0) ?? 0;
    return code < 0x20
      ? String.fromCodePoint(0x2400 + code)
      : `⟨U+${code.toString(16).toUpperCase().padStart(4, "0")}⟩`;
  });
}

/** More of a text is not for a line among others. */
const LINE_CHARS = 300;

/** A text for a line: its beginning, with such characters as signs. */
export function lineText(text: string): string {
  return visible(text.length > LINE_CHARS ? `${text.slice(0, LINE_CHARS)}…` : text);
}
