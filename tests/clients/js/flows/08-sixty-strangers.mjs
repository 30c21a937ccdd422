// While Bob is away, more strangers write to him than he has one-time keys: the fallback key takes over, and on his
// return he reads them all.
import assert from "node:assert/strict";
import { LightDevice } from "../lib/olm.mjs";
import { describeEvent, encryptedRoom, isDecrypted } from "../lib/rooms.mjs";
import { e } from "../lib/http.mjs";
import { inParallel, step, until } from "../lib/wait.mjs";

export const name = "sixty-strangers";
export const weight = 10;

const STRANGERS = 60;

export async function run(context) {
    const bob = await context.newUser("bob");
    const { userId, deviceId, http } = bob.session;
    const room = await encryptedRoom(bob, [], { preset: "public_chat" });
    const counts = async () => (await http.ok("POST", "/keys/upload", {})).one_time_key_counts.signed_curve25519;
    await until("Bob's one-time keys are uploaded", bob, async () => (await counts()) >= 50);
    const { next_batch: start, ...fresh } = await http.sync();
    assert.deepEqual(fresh.device_unused_fallback_key_types, ["signed_curve25519"], "the fallback key is fresh");
    assert.ok(fresh.device_one_time_keys_count?.signed_curve25519 >= 50, "sync counts the one-time keys");
    bob.network.down();
    const available = await counts();
    assert.ok(available < STRANGERS, `Bob has ${available} one-time keys, too many for this test`);

    const strangers = await inParallel(Array.from({ length: STRANGERS }), 6, async (_, index) => {
        const device = await LightDevice.start(await context.register(`stranger${index}`));
        await device.session.http.ok("POST", `/join/${e(room)}`, {});
        await device.track([userId]);
        return device;
    });

    // Claims at the same time get different keys.
    const claimed = await inParallel(strangers, 6, async (stranger) => {
        const answer = await stranger.claim([userId]);
        const keys = Object.entries(answer.one_time_keys?.[userId]?.[deviceId] ?? {});
        assert.equal(keys.length, 1, `each claim gets one key: ${JSON.stringify(answer)}`);
        const [[id, key]] = keys;
        assert.match(id, /^signed_curve25519:/);
        return { id, key: key.key, fallback: key.fallback === true };
    });
    const oneTime = claimed.filter(({ fallback }) => !fallback);
    assert.equal(oneTime.length, available, "each one-time key is given out");
    assert.equal(new Set(oneTime.map(({ id }) => id)).size, available, "no key id is given out twice");
    assert.equal(new Set(oneTime.map(({ key }) => key)).size, available, "no key is given out twice");
    const fallback = claimed.filter(({ fallback }) => fallback);
    assert.equal(fallback.length, STRANGERS - available, "the others get the fallback key");
    assert.equal(new Set(fallback.map(({ id }) => id)).size, 1, "which is one and the same");

    const away = await http.sync(start);
    assert.equal(away.device_one_time_keys_count?.signed_curve25519 ?? 0, 0, "no one-time key is left");
    assert.deepEqual(away.device_unused_fallback_key_types, [], "the fallback key is used");

    const sent = await inParallel(strangers, 6, async (stranger, index) => {
        const body = `from stranger ${index}`;
        return { id: await stranger.say(room, [userId], body), body, sender: stranger.session.userId };
    });
    for (const stranger of strangers) stranger.close();

    bob.network.up();
    bob.retryImmediately();
    const find = ({ id }) => bob.getRoom(room).findEventById(id);
    // Sync leaves a gap, as it is more than a timeline holds; Bob scrolls up to fill it.
    await until("Bob sees a message that came while he was away", bob, () => sent.some(find));
    while (!sent.every(find)) {
        const timeline = bob.getRoom(room).getLiveTimeline();
        const more = await step("Bob scrolls up", bob.paginateEventTimeline(timeline, { backwards: true, limit: 100 }));
        assert.ok(more || sent.every(find), `${sent.filter((message) => !find(message)).length} messages are missing`);
    }
    const missing = () => sent.filter((message) => !find(message) || !isDecrypted(find(message)));
    await until("Bob decrypts all messages", bob, () => missing().length === 0, {
        state: () => `${missing().length} missing; the first: ${describeEvent(find(missing()[0]))}`,
    });
    for (const message of sent) {
        assert.equal(find(message).getContent().body, message.body);
        assert.equal(find(message).getSender(), message.sender);
    }
    await until("Bob uploads new one-time keys", bob, async () => (await counts()) >= 50);
}
