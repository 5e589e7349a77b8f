/** A label as the URL holds it and a person types it: its name and value, with what would end either escaped. */
export function pairOf(name: string, value: string): string {
  return `${escaped(name)}=${escaped(value)}`;
}

/** The values of each label; several of one name are alternatives. */
export function labelsOf(pairs: readonly string[]): Record<string, string[]> {
  const found = new Map<string, string[]>();
  for (const pair of pairs) {
    const at = pair.indexOf("=");
    const [name, value] = at < 0 ? [pair, ""] : [pair.slice(0, at), pair.slice(at + 1)];
    found.set(unescaped(name), [...(found.get(unescaped(name)) ?? []), unescaped(value)]);
  }
  return Object.fromEntries(found);
}

/** What a person typed of a label, as the URL holds it; typed with or without escapes it is the same. */
export function typedPair(name: string, value: string): string {
  return pairOf(unescaped(name), unescaped(value));
}

function escaped(text: string): string {
  return text.replace(/[%=:"\s]/g, encodeURIComponent);
}

function unescaped(text: string): string {
  return text.replace(/(?:%[0-9A-F]{2})+/g, (codes) => {
    try {
      return decodeURIComponent(codes);
    } catch {
      return codes; // a text of its own
    }
  });
}
