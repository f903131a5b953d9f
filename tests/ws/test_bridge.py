"""WebSockets from their opening to their end."""

from __future__ import annotations

import os
import socket

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase
from websockets.frames import Close, Frame, Opcode

from hostedge.settings import Limits
from hostedge.ws.ends import POINTS
from tests.ws.stage import Peer, Stage

# every code that may stand in a close frame; of ranges the ends and one between
CODES = (*range(1000, 1004), *range(1007, 1015), 3000, 3333, 3999, 4000, 4444, 4999)


class BridgeTests(SynchronousTestCase):
    """Two peers and what is between them."""

    def start(self, limits: Limits | None = None) -> Stage:
        stage = Stage(limits)
        self.addCleanup(stage.close)
        return stage

    def assertOver(self, stage: Stage) -> None:
        """Nothing is left of any WebSocket."""
        stage.turn()
        lane = stage.backend.lanes[0]
        self.assertEqual((stage.backend.sockets, lane.sockets, lane.in_flight), (0, 0, 0))
        self.assertEqual(stage.sockets.bridges.open, 0)
        self.assertEqual(stage.backend.places.taken, 0)
        self.assertEqual(stage.entrance.connections, set())
        self.assertEqual(lane.upstream.open, set())


class PassingTests(BridgeTests):
    """What goes through."""

    def test_messages(self) -> None:
        """Text and bytes of every size, both ways."""
        stage = self.start()
        client, app = stage.open()
        for size in (0, 1, 125, 126, 65535, 65536, 300_000):
            payload = os.urandom(size)
            for one, other in ((client, app), (app, client)):
                one.protocol.send_binary(payload)
                one.protocol.send_text(b"\xc3\xa4" * (size // 2))
                stage.turn(12)
                self.assertEqual(joined(other), [(2, payload), (1, b"\xc3\xa4" * (size // 2))])
                other.events.clear()

    def test_fragments(self) -> None:
        """Fragments leave as they come, control frames between them."""
        stage = self.start()
        client, app = stage.open()
        for one, other in ((client, app), (app, client)):
            one.protocol.send_text(b"one", fin=False)
            stage.turn()
            self.assertEqual(other.frames, [(1, b"one", False)])
            one.protocol.send_ping(b"now")
            one.protocol.send_continuation(b"two", fin=False)
            stage.turn()
            self.assertEqual(other.frames[1:], [(9, b"now", True), (0, b"two", False)])
            one.protocol.send_continuation(b"", fin=True)
            stage.turn()
            self.assertEqual(other.frames[3:], [(0, b"", True)])
            # the answer to the ping came back
            self.assertEqual(one.frames[-1], (10, b"now", True))
            one.events.clear()
            other.events.clear()

    def test_partOfAFrame(self) -> None:
        """A large frame is passed on in fragments, before it is there."""
        stage = self.start()
        client, app = stage.open()
        whole = Frame(Opcode.BINARY, b"x" * 200_000).serialize(mask=True)
        client.unsent = whole[:150_000]
        stage.turn()
        self.assertGreater(sum(len(data) for _, data, _ in app.frames), 100_000)
        client.unsent = whole[150_000:]
        stage.turn()
        self.assertEqual(joined(app), [(2, b"x" * 200_000)])

    def test_splitEverywhere(self) -> None:
        """Wherever the stream is cut, the same arrives."""
        frames = b"".join(
            Frame(opcode, data, fin).serialize(mask=True)
            for opcode, data, fin in (
                (Opcode.TEXT, b"a", True),
                (Opcode.BINARY, b"b" * 130, True),
                (Opcode.TEXT, b"\xe2\x82", False),
                (Opcode.PING, b"p", True),
                (Opcode.CONT, b"\xac", True),
            )
        )
        stage = self.start()
        client, app = stage.open()
        for cut in range(len(frames)):
            for piece in (frames[:cut], frames[cut:]):
                client.socket.send(piece)
                stage.turn(2)
            self.assertEqual(joined(app), [(1, b"a"), (2, b"b" * 130), (1, "€".encode())], cut)
            app.events.clear()

    def test_deflate(self) -> None:
        """Each side compresses as agreed with it, and not otherwise."""
        text = b"once more with feeling " * 1000
        stage = self.start()
        client, app = stage.open(deflate=(True, False))
        for one, other in ((client, app), (app, client)):
            for _ in range(3):
                one.protocol.send_text(text)
                one.protocol.send_text(b"1", fin=False)
                one.protocol.send_continuation(b"2", fin=True)
                one.protocol.send_binary(b"")
                stage.turn(12)
            self.assertEqual(joined(other), [(1, text), (1, b"12"), (2, b"")] * 3)
            other.events.clear()
        self.assertLess(sum(len(each) for each in client.raw), len(text))
        self.assertGreater(sum(len(each) for each in app.raw), len(text))
        noise = os.urandom(200_000)
        client.protocol.send_binary(noise)
        app.protocol.send_binary(noise)
        stage.turn(12)
        self.assertEqual(joined(app), [(2, noise)])
        self.assertEqual(joined(client), [(2, noise)])

    def test_probed(self) -> None:
        """The kernel finds out by itself whether a client is still there."""
        stage = self.start()
        stage.open()
        (protocol,) = stage.entrance.connections
        probed = protocol.transport.socket.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        self.assertEqual(probed, 1)

    def test_oneLine(self) -> None:
        """The access log has one line, at the end."""
        stage = self.start()
        client, app = stage.open()
        app.protocol.send_binary(b"x" * 1000)
        stage.turn()
        self.assertEqual(stage.recorded, [])
        self.assertEqual(stage.entrance.in_flight, 1)
        client.protocol.send_close(1000)
        stage.turn()
        (line,) = stage.recorded
        self.assertEqual((line.status, line.whole, line.cause), (101, True, ""))
        self.assertEqual(line.sent, 1004 + 4)
        self.assertEqual(line.upstream, stage.app.address)
        self.assertOver(stage)


class ClosingTests(BridgeTests):
    """Close frames, and connections that end without."""

    def test_everyCode(self) -> None:
        """Each code and its reason, in both directions, and the answer back."""
        for code in CODES:
            stage = self.start()
            for which in (0, 1):
                peers = stage.open()
                one, other = peers[which], peers[1 - which]
                one.protocol.send_frame(Frame(Opcode.CLOSE, Close(code, "wäll").serialize()))
                stage.turn()
                self.assertEqual(other.protocol.close_rcvd, Close(code, "wäll"))
                self.assertEqual(one.frames, [(8, Close(code, "wäll").serialize(), True)])
                self.assertTrue(one.ended and other.ended)
                self.assertOver(stage)

    def test_noCode(self) -> None:
        """An empty close stays one."""
        stage = self.start()
        for which in (0, 1):
            peers = stage.open()
            peers[which].protocol.send_close()
            stage.turn()
            self.assertEqual(peers[1 - which].frames, [(8, b"", True)])
        self.assertOver(stage)

    def test_clientVanishes(self) -> None:
        """The app hears 1001, the log says that the client was not told."""
        stage = self.start()
        client, app = stage.open()
        client.socket.close()
        stage.peers.remove(client)
        stage.turn()
        self.assertEqual(app.protocol.close_rcvd.code, 1001)
        self.assertFalse(stage.recorded[0].whole)
        self.assertOver(stage)

    def test_appDies(self) -> None:
        """The client hears 1012."""
        stage = self.start()
        client, app = stage.open()
        app.socket.close()
        stage.peers.remove(app)
        stage.turn()
        self.assertEqual(client.protocol.close_rcvd.code, 1012)
        self.assertEqual(stage.recorded[0].cause, "upstream_died")
        self.assertOver(stage)

    def test_nobodyAnswers(self) -> None:
        """Who does not answer a close in time is dropped."""
        for which in (0, 1):
            stage = self.start(evolve(Limits(), websocket_close=5.0))
            peers = stage.open()
            silent, closing = peers[which], peers[1 - which]
            stage.peers.remove(silent)
            closing.protocol.send_close(4000, "bye")
            stage.turn()
            self.assertFalse(closing.ended)
            stage.pass_time(7)
            self.assertEqual(closing.protocol.close_rcvd, Close(4000, "bye"))
            self.assertOver(stage)

    def test_suspended(self) -> None:
        """A cut account's clients hear 1008, those of one that moved 1012."""
        for cause, code in (("suspended", 1008), ("upstream_died", 1012)):
            stage = self.start()
            client, app = stage.open()
            stage.backend.cut(cause)
            stage.turn()
            self.assertEqual(client.protocol.close_rcvd.code, code)
            self.assertEqual(app.protocol.close_rcvd.code, code)
            self.assertEqual(stage.recorded[0].cause, cause)
            self.assertOver(stage)

    def test_drained(self) -> None:
        """An edge that ends tells both 1001; what stays is broken off in the end."""
        stage = self.start()
        client, app = stage.open()
        deaf, its = stage.open()
        stage.peers.remove(deaf)
        done = stage.entrance.drain()
        stage.turn()
        self.assertEqual(client.protocol.close_rcvd.code, 1001)
        self.assertEqual(app.protocol.close_rcvd.code, 1001)
        self.assertEqual(its.protocol.close_rcvd.code, 1001)
        self.assertNoResult(done)
        stage.entrance.end()
        stage.turn()
        self.successResultOf(done)
        self.assertEqual(len(stage.recorded), 2)
        self.assertOver(stage)

    def test_halfClosed(self) -> None:
        """A client that ends its side without a close is gone."""
        stage = self.start()
        client, app = stage.open()
        client.socket.shutdown(1)
        stage.turn()
        self.assertEqual(app.protocol.close_rcvd.code, 1001)
        self.assertOver(stage)

    def test_halfClosedInOrder(self) -> None:
        """One that ends its side behind its close still gets the answer."""
        stage = self.start()
        client, app = stage.open()
        client.protocol.send_close(4000, "bye")
        stage.peers.remove(app)
        stage.turn()
        client.socket.shutdown(1)
        stage.turn()
        self.assertFalse(client.ended)
        stage.peers.append(app)
        stage.turn()
        self.assertEqual(client.protocol.close_rcvd, Close(4000, "bye"))
        self.assertTrue(stage.recorded[0].whole)
        self.assertOver(stage)

    def test_halfClosedAndNoAnswer(self) -> None:
        """But not for longer than an answer may take."""
        stage = self.start(evolve(Limits(), websocket_close=5.0))
        client, app = stage.open()
        stage.peers.remove(app)
        client.protocol.send_close(4000, "bye")
        stage.turn()
        client.socket.shutdown(1)
        stage.pass_time(7)
        self.assertEqual(client.protocol.close_rcvd, Close(4000, "bye"))
        self.assertOver(stage)

    def test_bothEndAtOnce(self) -> None:
        """Close frames that cross, and connections that are gone in the same turn."""
        stage = self.start()
        peers = stage.open()
        for peer, code in zip(peers, (4001, 4002), strict=True):
            peer.protocol.send_close(code)
        stage.turn()
        self.assertEqual([peer.protocol.close_rcvd.code for peer in peers], [4002, 4001])
        self.assertOver(stage)
        for peer in stage.open():
            peer.socket.close()
            stage.peers.remove(peer)
        stage.turn()
        self.assertEqual(len(stage.recorded), 2)
        self.assertOver(stage)

    def test_noLooksAtTheHandshakesOwners(self) -> None:
        """Of an open one only the bridge is looked at now and then."""
        stage = self.start()
        stage.open()
        watched = [each for bucket in stage.wheel._buckets.values() for each in bucket]
        self.assertEqual([type(each).__name__ for each in watched], ["Bridge"])


class LimitTests(BridgeTests):
    """What may not go through."""

    def broken(self, which: int, data: bytes, code: int, limits: Limits | None = None) -> None:
        """One of them sends this, hears that code, and the other one a fitting one."""
        stage = self.start(limits)
        peers = stage.open()
        one, other = peers[which], peers[1 - which]
        one.unsent = data
        stage.turn(30)
        self.assertEqual(one.frames[0][0], 8, one.frames)
        self.assertEqual(int.from_bytes(one.frames[0][1][:2]), code, one.frames)
        self.assertEqual(other.protocol.close_rcvd.code, (1001, 1011)[which])
        self.assertTrue(one.ended)
        one.socket.close()
        stage.peers.remove(one)
        self.assertOver(stage)
        name = ("websocket_client_broke", "websocket_app_broke")[which]
        self.assertEqual(stage.counters[name], 1)

    def test_breaches(self) -> None:
        """RFC 6455: whoever breaks it is told 1002 or 1007."""
        for which, masked in ((0, True), (1, False)):

            def frame(opcode: int, data: bytes, fin: bool = True, mask: bool = masked) -> bytes:
                return Frame(Opcode(opcode), data, fin).serialize(mask=mask)

            bit = 0x80 if masked else 0
            key = b"\0\0\0\0" if masked else b""
            for data, code in (
                (frame(1, b"x", mask=not masked), 1002),
                (frame(0, b"x"), 1002),
                (frame(1, b"x", fin=False) + frame(1, b"y"), 1002),
                (bytes((0xF1, bit | 1)) + key + b"x", 1002),
                (bytes((0x83, bit)) + key, 1002),
                (bytes((0x8B, bit)) + key, 1002),
                (bytes((0x09, bit)) + key, 1002),
                (bytes((0x89, bit | 126, 0, 126)) + key + b"x" * 126, 1002),
                (bytes((0x82, bit | 126, 0, 1)) + key + b"x", 1002),
                (bytes((0x88, bit | 1)) + key + b"x", 1002),
                (frame(8, b"\x03\xed"), 1002),
                (frame(8, b"\x03\xe7"), 1002),
                (frame(8, b"\x13\x88"), 1002),
                (frame(8, b"\x03\xe8\xff"), 1007),
                (frame(1, b"\xff"), 1007),
                (frame(1, b"\xe2\x82"), 1007),
                (frame(1, b"\xe2\x82", fin=False) + frame(0, b"x"), 1007),
            ):
                self.broken(which, data + frame(1, b"not any more"), code)

    def test_sizes(self) -> None:
        """1009: a frame that is too large, a message that gets too large."""
        limits = evolve(Limits(), websocket_frame=1000, websocket_message=1500)
        for which, masked in ((0, True), (1, False)):
            large = Frame(Opcode.BINARY, b"x" * 1001).serialize(mask=masked)
            self.broken(which, large, 1009, limits)
            parts = [
                Frame(opcode, b"x" * 800, False).serialize(mask=masked)
                for opcode in (Opcode.BINARY, Opcode.CONT)
            ]
            self.broken(which, b"".join(parts), 1009, limits)

    def test_inflated(self) -> None:
        """The limit is what a message is when it is inflated."""
        stage = self.start(evolve(Limits(), websocket_message=100_000))
        client, app = stage.open(deflate=(True, False))
        client.protocol.send_text(b"x" * 100_001)
        stage.turn(12)
        self.assertEqual(client.protocol.close_rcvd.code, 1009)
        self.assertEqual(app.protocol.close_rcvd.code, 1001)

    def test_idle(self) -> None:
        """Silence ends it with 1001; a ping, or its answer, is none."""
        stage = self.start(evolve(Limits(), websocket_idle=20.0))
        client, app = stage.open()
        stage.pass_time(15)
        client.protocol.send_ping(b"")
        stage.pass_time(15)
        self.assertFalse(client.ended)
        stage.pass_time(15)
        self.assertEqual(client.protocol.close_rcvd, Close(1001, "idle"))
        self.assertEqual(app.protocol.close_rcvd, Close(1001, "idle"))
        self.assertEqual(stage.counters["websocket_idle"], 1)
        self.assertOver(stage)

    def test_silent(self) -> None:
        """Without data it keeps no app awake, whatever is pinged; with data it does again."""
        stage = self.start(evolve(Limits(), websocket_idle=20.0))
        client, app = stage.open()
        lane = stage.backend.lanes[0]
        for _ in range(5):
            stage.pass_time(5)
            client.protocol.send_ping(b"")
            stage.turn()
        self.assertEqual((lane.sockets, lane.talking), (1, 0))
        client.protocol.send_text(b"hello")
        stage.turn()
        for connection in lane.upstream.open:
            connection.look()
        self.assertEqual(lane.talking, 1, "whoever looks knows at once")
        for one in (client, app):
            for data in (b"", b"x" * 70_000):
                stage.pass_time(4)
                one.protocol.send_text(data, fin=False)
                one.protocol.send_continuation(b"", fin=True)
                stage.pass_time(10)
                self.assertEqual(lane.talking, 1, (one is client, data[:1]))
        for _ in range(2):
            stage.pass_time(15)
            app.protocol.send_ping(b"")
            stage.turn()
        self.assertEqual(lane.talking, 0)
        client.protocol.send_close(1000)
        stage.turn()
        self.assertEqual(lane.silent, 0)
        self.assertOver(stage)

    def test_appsSleepFirst(self) -> None:
        """An app's may be without a byte for longer: the app is stopped first, if it is idle."""
        stage = self.start(evolve(Limits(), websocket_idle=20.0))
        stage.backend.lanes[0].may_sleep = True
        client, _ = stage.open()
        stage.pass_time(30)
        self.assertFalse(client.ended)
        stage.pass_time(20)
        self.assertEqual(client.protocol.close_rcvd, Close(1001, "idle"))
        self.assertOver(stage)

    def test_emptyFragments(self) -> None:
        """Empty fragments reach nobody and cost no memory, as many as are let through."""
        stage = self.start()
        client, app = stage.open()
        client.protocol.send_text(b"", fin=False)
        stage.turn()
        client.unsent += Frame(Opcode.CONT, b"", False).serialize(mask=True) * 400
        client.unsent += Frame(Opcode.CONT, b"end", True).serialize(mask=True)
        stage.turn(30)
        self.assertEqual(app.frames, [(1, b"end", True)])

    def test_floods(self) -> None:
        """
        Pings, pongs, empty fragments and crumbs by the hundred thousand: 1008, and the rest of
        them is not looked at.
        """
        opening = Frame(Opcode.TEXT, b"", False)
        for which, masked in ((0, True), (1, False)):
            for one in (
                Frame(Opcode.PING, b""),
                Frame(Opcode.PONG, b"x" * 125),
                Frame(Opcode.CONT, b"", False),
                *[Frame(Opcode.CONT, b"x", False)] * masked,
            ):
                start = opening.serialize(mask=masked) if one.opcode is Opcode.CONT else b""
                flood = start + one.serialize(mask=masked) * (100_000 if one.data != b"x" else 6000)
                stage = self.start()
                peers = stage.open()
                peers[which].unsent = flood
                stage.turn(40)
                close = [data for opcode, data, _ in peers[which].frames if opcode == 8]
                self.assertEqual([int.from_bytes(data[:2]) for data in close], [1008], one)
                self.assertEqual(peers[1 - which].protocol.close_rcvd.code, (1001, 1011)[which])
                self.assertLessEqual(len(peers[1 - which].frames), POINTS + 2)
                self.assertEqual(stage.counters["websocket_floods"], 1)
                broke = ("websocket_client_broke", "websocket_app_broke")[which]
                self.assertEqual(stage.counters[broke], 1)
                self.assertTrue(peers[which].ended)

    def test_noFloods(self) -> None:
        """
        A ping ten times a second for as long as one likes, thousands of small messages at once, and
        fragments that have something in them.
        """
        stage = self.start()
        client, app = stage.open()
        for _ in range(120):
            for _ in range(10):
                client.protocol.send_ping(b"")
            stage.pass_time(1)
        client.unsent += Frame(Opcode.TEXT, b"x").serialize(mask=True) * 20_000
        client.unsent += Frame(Opcode.TEXT, b"x" * 16, False).serialize(mask=True)
        client.unsent += Frame(Opcode.CONT, b"x" * 16, False).serialize(mask=True) * 20_000
        client.unsent += Frame(Opcode.CONT, b"", True).serialize(mask=True)
        stage.turn(100)
        self.assertEqual(sum(opcode == 9 for opcode, _, _ in app.frames), 1200)
        messages = joined(app)
        self.assertEqual(messages[:-1], [(1, b"x")] * 20_000)
        self.assertEqual(len(messages[-1][1]), 16 * 20_001)
        self.assertEqual(stage.counters["websocket_floods"], 0)

    def test_stalledReader(self) -> None:
        """Who reads nothing stops the other one, and is ended when that lasts too long."""
        for which in (0, 1):
            for deflate in (False, True):
                stage = self.start()
                peers = stage.open(deflate=(deflate, False))
                self.stall(stage, peers[which], peers[1 - which], small=deflate and bool(which))

    def stall(self, stage: Stage, reader: Peer, writer: Peer, small: bool) -> None:
        reader.reads = False
        message = b"x" * 60_000
        writer.protocol.send_text(b"", fin=False)
        for _ in range(400):
            writer.protocol.send_continuation(message, fin=False)
        stage.turn(40)
        (protocol,) = stage.entrance.connections
        (connection,) = stage.backend.lanes[0].upstream.open
        held = [protocol.transport.unsent, connection.transport.unsent]
        self.assertLess(max(held), 3_000_000)
        # megabytes wait at the writer; where it compresses, they are a few kilobytes
        self.assertEqual(bool(writer.unsent), not small)
        # it reads on: everything arrives
        reader.reads = True
        stage.turn(400)
        writer.protocol.send_continuation(b"", fin=True)
        stage.turn(40)
        self.assertEqual(joined(reader), [(1, message * 400)])
        # again, for ever
        reader.reads = False
        for _ in range(400):
            writer.protocol.send_binary(os.urandom(60_000))
        stage.turn(40)
        self.assertLess(protocol.transport.unsent + connection.transport.unsent, 3_000_000)
        stage.pass_time(80)
        self.assertEqual(stage.counters["websocket_stalled"], 1)
        stage.pass_time(10)
        self.assertOver(stage)

    def test_bomb(self) -> None:
        """A small message that is a large one once inflated waits as what it came as."""
        stage = self.start()
        client, app = stage.open(deflate=(True, False))
        app.reads = False
        client.protocol.send_binary(b"\0" * 60_000_000)
        stage.turn(40)
        (connection,) = stage.backend.lanes[0].upstream.open
        self.assertLess(connection.transport.unsent, 3_000_000)
        app.reads = True
        stage.turn(500)
        self.assertEqual(sum(len(data) for _, data, _ in app.frames), 60_000_000)


def joined(peer: Peer) -> list[tuple[int, bytes]]:
    """The messages that came, put together."""
    messages: list[tuple[int, list[bytes], bool]] = []
    for opcode, data, fin in peer.frames:
        if opcode > 2:
            continue
        if opcode:
            messages.append((opcode, [], False))
        assert not messages[-1][2], "a fragment after the last one"
        messages[-1][1].append(data)
        messages[-1] = (*messages[-1][:2], fin)
    assert all(whole for _, _, whole in messages), "a message without end"
    return [(opcode, b"".join(pieces)) for opcode, pieces, _ in messages]
