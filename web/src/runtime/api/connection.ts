import { createSlice, type PayloadAction } from "@reduxjs/toolkit";
import type { Connection } from "../stream/source.ts";

/** Where the server is, and how the stream to it is. */
export interface ConnectionState extends Connection {
  baseUrl: string;
  /** The cursor as of which the first list was, from which on the stream has to tell what happened. */
  asOf: string | null;
  /** So many milliseconds the server's clock is ahead of this browser's: times of the ledger are by the server's. */
  aheadMs: number;
}

/** An answer that took longer says too little of the time. */
const SLOW_MS = 2_000;
const LEAST_AHEAD_MS = 2_000;

const initialState: ConnectionState = {
  baseUrl: "/api/v1",
  asOf: null,
  aheadMs: 0,
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
    serverTimeTold(state, action: PayloadAction<{ told: string; askedAt: number; answeredAt: number }>) {
      const { told, askedAt, answeredAt } = action.payload;
      const server = Date.parse(told);
      if (!Number.isFinite(server) || answeredAt - askedAt > SLOW_MS) return;
      // It is told in whole seconds, and somewhen between question and answer: less than that is no difference.
      const ahead = server + 500 - (askedAt + answeredAt) / 2;
      if (Math.abs(ahead - state.aheadMs) > LEAST_AHEAD_MS)
        state.aheadMs = Math.abs(ahead) > LEAST_AHEAD_MS ? ahead : 0;
    },
    connectionChanged(state, action: PayloadAction<Connection>) {
      Object.assign(state, action.payload);
    },
  },
});

export const { asOfNoted, baseUrlSet, connectionChanged, serverTimeTold } = connectionSlice.actions;

/** A state with the slice in it. */
export interface WithConnection {
  runstoneConnection: ConnectionState;
}

export const selectConnection = (state: WithConnection): ConnectionState => state.runstoneConnection;
