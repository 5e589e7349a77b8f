import { RunstoneProvider } from "@runstone/react";
import { useState } from "react";
import { Provider } from "react-redux";
import { Clock } from "./design/Clock.tsx";
import { Shell } from "./shell/Shell.tsx";
import { createStore } from "./store.ts";

/** The command center. */
export function App() {
  const [store] = useState(createStore);
  return (
    <Provider store={store}>
      <RunstoneProvider baseUrl="/api/v1">
        <Clock>
          <Shell />
        </Clock>
      </RunstoneProvider>
    </Provider>
  );
}
