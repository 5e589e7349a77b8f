"""How many runs of a process execute at a time. A run that waits for children holds no slot, so a tree of any depth
gets through with one."""

import asyncio
from collections import deque


class Slots:
    """A bounded number of slots. Runs that go on come before runs that begin, so that what is begun gets done."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._going_on: deque[asyncio.Future[None]] = deque()
        self._beginning: deque[asyncio.Future[None]] = deque()

    async def take(self, *, going_on: bool = False) -> None:
        """Waits for a slot."""
        if self._free > 0:
            self._free -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue = self._going_on if going_on else self._beginning
        queue.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give()  # it was handed over in this moment
            raise

    def overdraw(self) -> None:
        """Takes a slot at once, for code that goes on and cannot be made to wait; the next ones wait longer."""
        self._free -= 1

    def give(self) -> None:
        """Gives a slot back, or hands it to who waits longest."""
        self._free += 1
        while self._free > 0 and (queue := self._going_on or self._beginning):
            turn = queue.popleft()
            if not turn.done():
                self._free -= 1
                turn.set_result(None)

    async def seat(self) -> "Seat":
        """A slot for a run that begins."""
        await self.take()
        return Seat(self)


class Seat:
    """The slot of one attempt: given up while the attempt waits for a durable call, taken again when it goes on."""

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self._held = True
        self._away = 0

    def leave(self) -> None:
        """One more branch waits. While any does, the run needs no slot: its children may need it."""
        self._away += 1
        self._give()

    async def come_back(self) -> None:
        """A branch goes on; the last one to do so waits for a slot."""
        self._away -= 1
        if self._away or self._held:
            return
        await self._slots.take(going_on=True)
        if self._away or self._held:
            self._slots.give()
        else:
            self._held = True

    def back_at_once(self) -> None:
        """A branch stopped waiting (its await was cancelled) and goes on now."""
        self._away -= 1
        if not self._away and not self._held:
            self._slots.overdraw()
            self._held = True

    def give_up(self) -> None:
        """The attempt is over."""
        self._away += 1_000_000  # whatever of it still comes back, takes nothing
        self._give()

    def _give(self) -> None:
        if self._held:
            self._held = False
            self._slots.give()
