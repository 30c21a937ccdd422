// One of Bob's devices logs out: Alice's next message uses a new room key, which that device never gets.
import assert from "node:assert/strict";
import { encryptedRoom, exchange, receive, roomReady, say } from "../lib/rooms.mjs";
import { step, until } from "../lib/wait.mjs";

export const name = "logout-rotates-room-key";
export const weight = 2;

export async function run(context) {
    const [alice, laptop] = await Promise.all([context.newUser("alice"), context.newUser("bob")]);
    const phone = await context.client(await context.login(laptop.session, "Bob's phone"));
    const room = await encryptedRoom(alice, [laptop]);
    await roomReady(phone, room, [alice]);

    const bobId = laptop.getUserId();
    const devicesSeen = async () => (await alice.getCrypto().getUserDeviceInfo([bobId])).get(bobId);
    await until("Alice knows both devices", alice, async () => (await devicesSeen())?.size === 2);
    const sessionOf = (event) => event.getWireContent().session_id;
    const first = await exchange(alice, laptop, room, "for both devices");
    await receive(phone, room, first.getId());
    const second = await exchange(alice, phone, room, "still for both devices");
    assert.equal(sessionOf(second), sessionOf(first), "one room key while the devices stay");

    await step("the phone logs out", phone.logout(true));
    await until("Alice hears that the phone is gone", alice, async () => {
        const devices = await devicesSeen();
        return devices.size === 1 && devices.has(laptop.session.deviceId);
    });
    const third = await receive(laptop, room, await say(alice, room, "not for the phone"));
    assert.equal(third.getContent().body, "not for the phone");
    assert.notEqual(sessionOf(third), sessionOf(second), "a new room key after the logout");
    await phone.session.http.refused(401, "M_UNKNOWN_TOKEN", "GET", "/sync");
}
