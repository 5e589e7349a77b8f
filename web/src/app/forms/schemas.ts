/** The part of JSON Schema that questions and inputs use; the server checks it anew, and has the last word. */
export interface Schema {
  type?: string | readonly string[];
  enum?: readonly unknown[];
  const?: unknown;
  properties?: Readonly<Record<string, Schema>>;
  required?: readonly string[];
  additionalProperties?: boolean;
  items?: Schema;
  minItems?: number;
  maxItems?: number;
  minLength?: number;
  maxLength?: number;
  pattern?: string;
  minimum?: number;
  maximum?: number;
  title?: string;
  description?: string;
  default?: unknown;
  examples?: readonly unknown[];
}

/** What does not fit, by JSON pointer; "" is the value itself. */
export type Faults = ReadonlyMap<string, string>;

type Fields = Readonly<Record<string, unknown>>;

export function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function schemaOf(value: unknown): Schema | null {
  return isFields(value) ? (value as Schema) : null;
}

/** The one type that a place is to have; undefined where there are several, or none is said. */
export function typeOf(schema: Schema): string | undefined {
  if (typeof schema.type === "string") return schema.type;
  const types = (schema.type ?? []).filter((one) => one !== "null");
  return types.length === 1 ? types[0] : schema.properties === undefined ? undefined : "object";
}

/** Whether every place of the schema can be a field of a form. */
export function hasForm(schema: Schema | null, depth = 0): boolean {
  if (schema === null || depth > 5) return false;
  if (schema.enum !== undefined || schema.const !== undefined) return true;
  const type = typeOf(schema);
  if (type === "object")
    return (
      Object.keys(schema.properties ?? {}).length > 0 &&
      Object.values(schema.properties ?? {}).every((one) => hasForm(one, depth + 1))
    );
  if (type === "array") return hasForm(schema.items ?? null, depth + 1);
  return type === "string" || type === "number" || type === "integer" || type === "boolean";
}

/** A value to begin with: defaults and constants, and nothing that a person has not said. */
export function initialOf(schema: Schema | null): unknown {
  if (schema === null) return undefined;
  if (schema.default !== undefined) return schema.default;
  if (schema.const !== undefined) return schema.const;
  if (typeOf(schema) !== "object") return undefined;
  const fields = Object.entries(schema.properties ?? {}).flatMap(([name, one]) => {
    const value = initialOf(one);
    return value === undefined ? [] : [[name, value] as const];
  });
  return Object.fromEntries(fields);
}

/** A value of that shape, to show what is meant. */
export function exampleOf(schema: Schema | null, depth = 0): unknown {
  if (schema === null || depth > 6) return {};
  const [given] = [...(schema.examples ?? []), schema.default, schema.const, ...(schema.enum ?? [])].filter(
    (one) => one !== undefined,
  );
  if (given !== undefined) return given;
  switch (typeOf(schema)) {
    case "object":
      return Object.fromEntries(
        Object.entries(schema.properties ?? {}).map(([name, one]) => [name, exampleOf(one, depth + 1)]),
      );
    case "array":
      return schema.items === undefined ? [] : [exampleOf(schema.items, depth + 1)];
    case "string":
      return "…";
    case "number":
    case "integer":
      return schema.minimum ?? 0;
    case "boolean":
      return false;
    default:
      return null;
  }
}

/** Everything that does not fit; empty where all does. */
export function faultsOf(schema: Schema | null, value: unknown): Faults {
  const faults = new Map<string, string>();
  if (schema !== null) check(schema, value, "", faults);
  return faults;
}

function check(schema: Schema, value: unknown, path: string, faults: Map<string, string>): void {
  const fault = faultOf(schema, value);
  if (fault !== undefined) {
    faults.set(path, fault);
    return;
  }
  if (isFields(value)) checkFields(schema, value, path, faults);
  if (Array.isArray(value) && schema.items !== undefined)
    for (const [index, one] of value.entries()) check(schema.items, one, `${path}/${index}`, faults);
}

function checkFields(schema: Schema, value: Fields, path: string, faults: Map<string, string>): void {
  for (const name of schema.required ?? [])
    if (value[name] === undefined) faults.set(below(path, name), "is needed");
  for (const [name, one] of Object.entries(value)) {
    const inner = schema.properties?.[name];
    if (one === undefined) continue;
    if (inner !== undefined) check(inner, one, below(path, name), faults);
    else if (schema.additionalProperties === false) faults.set(below(path, name), "is no known field");
  }
}

function faultOf(schema: Schema, value: unknown): string | undefined {
  if (value === undefined) return "is needed";
  const types = schema.type === undefined ? [] : [schema.type].flat();
  if (types.length > 0 && !types.some((type) => isOf(type, value))) return `must be ${types.join(" or ")}`;
  if (schema.enum !== undefined && !schema.enum.some((one) => same(one, value)))
    return "is none of the choices";
  if (schema.const !== undefined && !same(schema.const, value))
    return `must be ${JSON.stringify(schema.const)}`;
  if (typeof value === "string") return textFault(schema, value);
  if (typeof value === "number") {
    if (schema.minimum !== undefined && value < schema.minimum) return `must be at least ${schema.minimum}`;
    if (schema.maximum !== undefined && value > schema.maximum) return `must be at most ${schema.maximum}`;
  }
  if (Array.isArray(value)) {
    if (value.length < (schema.minItems ?? 0)) return `needs at least ${schema.minItems}`;
    if (value.length > (schema.maxItems ?? Number.POSITIVE_INFINITY))
      return `takes at most ${schema.maxItems}`;
  }
  return undefined;
}

function textFault(schema: Schema, value: string): string | undefined {
  const length = [...value].length;
  if (length < (schema.minLength ?? 0))
    return schema.minLength === 1 ? "is needed" : `needs at least ${schema.minLength} characters`;
  if (length > (schema.maxLength ?? Number.POSITIVE_INFINITY))
    return `has more than ${schema.maxLength} characters`;
  // A pattern comes from an agent, and the browser's engine can be kept busy by one: the server, which knows which
  // are harmless, checks it.
  return undefined;
}

function isOf(type: string, value: unknown): boolean {
  switch (type) {
    case "object":
      return isFields(value);
    case "array":
      return Array.isArray(value);
    case "integer":
      return typeof value === "number" && Number.isInteger(value);
    case "null":
      return value === null;
    default:
      return typeof value === type;
  }
}

function same(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

export function below(path: string, key: string | number): string {
  return `${path}/${String(key).replaceAll("~", "~0").replaceAll("/", "~1")}`;
}
