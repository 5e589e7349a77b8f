#!/usr/bin/env python3
"""An agent in Python: it uses the command that it is given as its tool, and tells its run about it.

`runstone exec` gives it a descriptor for that, $RUNSTONE_FD; started alone it says nothing.
"""

import json
import os
import subprocess
import sys

fd = int(os.environ.get("RUNSTONE_FD", "0"))
tool = sys.argv[1:]


def say(verb: str, **fields: object) -> None:
    if fd:
        os.write(fd, json.dumps({"runstone": verb, **fields}).encode() + b"\n")


say("message", role="assistant", text="I use my tool")
say("emit", type="tool.started", payload={"call_id": "c1", "tool": "command"})
code = subprocess.run(tool, pass_fds=[fd] if fd else [], check=False).returncode if tool else 0
say("emit", type="tool.completed", payload={"call_id": "c1", "ok": code == 0})
say("usage", provider="example", model="small", input_tokens=100, cost_usd=0.001)
say("checkpoint", state={"code": code}, label="after the tool")
say("complete", summary=f"the tool ended with {code}", result={"code": code})
print(f"python: the tool ended with {code}")
sys.exit(code)
