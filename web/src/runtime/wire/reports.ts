import type { Schemas, With } from "./records.ts";

/** Sums of requests that have something in common; null: they have none of that. */
export type UsageLine = Schemas["UsageLine"];

/** How two values differ, each change at a JSON pointer. */
export type ValueDiff = Schemas["StateDiff"];

/** One difference of two values; a long text's is told line by line. */
export type ValueChange = ValueDiff["changes"][number];

export type Standing = ComparedPair["standing"];

type Counts = Partial<Record<Standing, number>>;

/** A compared run as a whole; tokens and cost are those of the run with all below it. */
export type ComparedRun = Schemas["FactsShape"];

/** A child or a step of a compared run. */
export type ComparedPart = Schemas["PartShape"];

export type ComparedPair = Schemas["PairShape"];

export type ComparedPhaseSide = Schemas["PhaseSideShape"];

export type ComparedPhase = With<Schemas["PhasePairShape"], { counts: Counts }>;

/** How two runs differ. `pairs` are those that differ; `more` is how many there are besides. */
export type Comparison = With<Schemas["ComparisonShape"], { phases: ComparedPhase[]; counts: Counts }>;
