// Alice makes an encrypted room, Bob joins on invitation, and both read each other.
import assert from "node:assert/strict";
import { encryptedRoom, exchange } from "../lib/rooms.mjs";

export const name = "encrypted-room";

export async function run(context) {
    const [alice, bob] = await Promise.all([context.newUser("alice"), context.newUser("bob")]);
    const room = await encryptedRoom(alice, [bob]);
    const first = await exchange(alice, bob, room, "Hello Bob");
    await exchange(bob, alice, room, "Hello Alice");
    const second = await exchange(alice, bob, room, "How are you?");
    assert.equal(
        first.getWireContent().session_id,
        second.getWireContent().session_id,
        "the room key stays while nobody comes or goes",
    );
    // A burst in both directions: nothing is lost, nothing comes twice.
    const texts = Array.from({ length: 5 }, (_, i) => `burst ${i}`);
    await Promise.all(
        [[alice, bob], [bob, alice]].map(async ([from, to]) => {
            for (const text of texts) await exchange(from, to, room, text);
        }),
    );
    for (const client of [alice, bob]) {
        const ids = client.getRoom(room).getLiveTimeline().getEvents().map((event) => event.getId());
        assert.equal(new Set(ids).size, ids.length, "no event is in the timeline twice");
        const sent = client
            .getRoom(room)
            .getLiveTimeline()
            .getEvents()
            .filter((event) => event.getContent().body?.startsWith("burst"));
        assert.equal(sent.length, 10, "all messages of the burst are in the timeline");
    }
}
