/** How a value stands in the URL. `read` gets all values of its name and gives the default for what it can't read. */
export interface Codec<T> {
  read(values: string[]): T;
  write(value: T): string[];
}

export const text: Codec<string> = {
  read: (values) => values[0] ?? "",
  write: (value) => (value === "" ? [] : [value]),
};

export const flag: Codec<boolean> = {
  read: (values) => values[0] === "1",
  write: (value) => (value ? ["1"] : []),
};

export const texts: Codec<string[]> = {
  read: (values) => [...new Set(values.filter((value) => value !== ""))],
  write: (value) => value,
};

/** One of some words; the first is the default and is left out. */
export function choice<const T extends string>(words: readonly [T, ...T[]]): Codec<T> {
  return {
    read: ([value]) => words.find((word) => word === value) ?? words[0],
    write: (value) => (value === words[0] ? [] : [value]),
  };
}

/** Some of some words. */
export function choices<const T extends string>(words: readonly T[]): Codec<T[]> {
  return {
    read: (values) => words.filter((word) => values.includes(word)),
    write: (value) => value,
  };
}

export type Schema = Record<string, Codec<never>> | Record<string, Codec<unknown>>;

export type StateOf<S> = { [K in keyof S]: S[K] extends Codec<infer T> ? T : never };

/** The state that a query text stands for. */
export function readState<S extends Record<string, unknown>>(schema: S, search: string): StateOf<S> {
  const query = new URLSearchParams(search);
  const entries = Object.entries(schema).map(([name, codec]) => [
    name,
    (codec as Codec<unknown>).read(query.getAll(name)),
  ]);
  return Object.fromEntries(entries) as StateOf<S>;
}

/** The query text with some values changed; what is not in the schema stays as it is. */
export function writeState<S extends Record<string, unknown>>(
  schema: S,
  search: string,
  change: Partial<StateOf<S>>,
): string {
  const query = new URLSearchParams(search);
  for (const [name, value] of Object.entries(change)) {
    query.delete(name);
    const codec = schema[name] as Codec<unknown> | undefined;
    for (const one of codec?.write(value) ?? []) query.append(name, one);
  }
  return query.toString();
}
