import { createSlice, type PayloadAction } from "@reduxjs/toolkit";
import type { Connection } from "../stream/source.ts";

/** Where the server is, and how the stream to it is. */
export interface ConnectionState extends Connection {
  baseUrl: string;
  /** The cursor as of which the first list was, from which on the stream has to tell what happened. */
  asOf: string | null;
}

const initialState: ConnectionState = {
  baseUrl: "/api/v1",
  asOf: null,
  phase: "idle",
  since: 0,
  failures: 0,
};

export const connectionSlice = createSlice({
  name: "runstoneConnection",
  initialState,
  reducers: {
    baseUrlSet(state, action: PayloadAction<string>) {
      state.baseUrl = action.payload.replace(/\/+$/, "");
    },
    asOfNoted(state, action: PayloadAction<string>) {
      state.asOf ??= action.payload;
    },
    connectionChanged(state, action: PayloadAction<Connection>) {
      Object.assign(state, action.payload);
    },
  },
});

export const { asOfNoted, baseUrlSet, connectionChanged } = connectionSlice.actions;

/** A state with the slice in it. */
export interface WithConnection {
  runstoneConnection: ConnectionState;
}

export const selectConnection = (state: WithConnection): ConnectionState => state.runstoneConnection;
