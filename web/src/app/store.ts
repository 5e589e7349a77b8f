import { configureStore } from "@reduxjs/toolkit";
import { runstoneApi, runstoneReducers } from "@runstone/react";

/** The app's store: the ledger's parts only. What a person has chosen is in the URL, or kept by `shell/settings`. */
export function createStore() {
  return configureStore({
    reducer: { ...runstoneReducers },
    middleware: (before) =>
      before({ serializableCheck: false, immutableCheck: false }).concat(runstoneApi.middleware),
  });
}

export type AppStore = ReturnType<typeof createStore>;
export type AppState = ReturnType<AppStore["getState"]>;
