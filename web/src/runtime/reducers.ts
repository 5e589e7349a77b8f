import { runstoneApi } from "./api/api.ts";
import { connectionSlice } from "./api/connection.ts";
import { chatRuntimeReducer } from "./chat/slice.ts";

/** The reducers that the package needs, under their names: `configureStore({ reducer: { ...runstoneReducers } })`. */
export const runstoneReducers = {
  runstoneApi: runstoneApi.reducer,
  runstoneConnection: connectionSlice.reducer,
  chatRuntime: chatRuntimeReducer,
};
