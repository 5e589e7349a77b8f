import type { Message } from "../wire/records.ts";

/** A line of what a run said, as its worker thread keeps it. */
export interface TranscriptLine {
  id: string;
  role: string;
  text: string;
  at: string;
}

/** The worker thread's messages in its order, each once. Prose that is not stored is not there: nothing is made up. */
export function transcriptOf(messages: Iterable<Message>): TranscriptLine[] {
  const bySeq = new Map<number, Message>();
  for (const message of messages) bySeq.set(message.seq, message);
  return [...bySeq.values()]
    .sort((a, b) => a.seq - b.seq)
    .map((message) => ({ id: message.id, role: message.role, text: message.text, at: message.timestamp }));
}
