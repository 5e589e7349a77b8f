#!/usr/bin/env node
// An agent in JavaScript: it uses the command that it is given as its tool, and tells its run about it.
// `runstone exec` gives it a descriptor for that, $RUNSTONE_FD; started alone it says nothing.
import { spawnSync } from "node:child_process";
import { writeSync } from "node:fs";

const fd = Number(process.env.RUNSTONE_FD ?? 0);
const say = (line) => fd && writeSync(fd, JSON.stringify(line) + "\n");

const [program, ...args] = process.argv.slice(2);
say({ runstone: "message", role: "assistant", text: "I use my tool" });
say({ runstone: "emit", type: "tool.started", payload: { call_id: "c1", tool: "command" } });
const stdio = ["inherit", "inherit", "inherit", ...(fd === 3 ? [fd] : [])];
const code = program ? (spawnSync(program, args, { stdio }).status ?? 1) : 0;
say({ runstone: "emit", type: "tool.completed", payload: { call_id: "c1", ok: code === 0 } });
say({ runstone: "usage", provider: "example", model: "small", input_tokens: 100, cost_usd: 0.001 });
say({ runstone: "checkpoint", state: { code }, label: "after the tool" });
say({ runstone: "complete", summary: `the tool ended with ${code}`, result: { code } });
console.log(`node: the tool ended with ${code}`);
process.exitCode = code;
