/** `@runstone/react`: runs, events and threads of a Runstone ledger in a React app. */
export { ROUTES } from "./routes.ts";
