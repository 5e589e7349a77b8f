import type { ReactElement } from "react";

/** The command center. */
export function App(): ReactElement {
  return (
    <main>
      <h1>Runstone</h1>
    </main>
  );
}
