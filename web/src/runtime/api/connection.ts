import { createSlice, type PayloadAction } from "@reduxjs/toolkit";
import type { Connection } from "../stream/source.ts";

/** Where the server is, and how the stream to it is. */
export interface ConnectionState extends Connection {
  baseUrl: string;
}

const initialState: ConnectionState = { baseUrl: "/api/v1", phase: "idle", since: 0, failures: 0 };

export const connectionSlice = createSlice({
  name: "runstoneConnection",
  initialState,
  reducers: {
    baseUrlSet(state, action: PayloadAction<string>) {
      state.baseUrl = action.payload.replace(/\/+$/, "");
    },
    connectionChanged(state, action: PayloadAction<Connection>) {
      Object.assign(state, action.payload);
    },
  },
});

export const { baseUrlSet, connectionChanged } = connectionSlice.actions;

/** A state with the slice in it. */
export interface WithConnection {
  runstoneConnection: ConnectionState;
}

export const selectConnection = (state: WithConnection): ConnectionState => state.runstoneConnection;
