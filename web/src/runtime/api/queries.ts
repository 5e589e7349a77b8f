/** Parameters of a query: a list is one parameter several times, which the API takes as alternatives. */
export type Parameter = string | number | boolean | null | undefined | readonly (string | number)[];

/** The query text, without what is not set; in the order of names, so that equal queries are equal texts. */
export function queryOf(parameters: Readonly<Record<string, Parameter>>): string {
  const query = new URLSearchParams();
  for (const name of Object.keys(parameters).sort()) {
    const value = parameters[name];
    // In a list an empty text is a value: it asks for what has none.
    if (value === undefined || value === null || value === "") continue;
    for (const one of Array.isArray(value) ? value : [value]) query.append(name, String(one));
  }
  const text = query.toString();
  return text === "" ? "" : `?${text}`;
}

/** An id in a path. */
export function segment(id: string): string {
  return encodeURIComponent(id);
}
