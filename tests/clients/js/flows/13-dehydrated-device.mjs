// Alice's only device leaves a dehydrated one behind and logs out. What Bob says meanwhile, her next device can read.
import assert from "node:assert/strict";
import { decodeRecoveryKey } from "matrix-js-sdk/lib/crypto-api/index.js";
import { bootstrapCrossSigning, queryKeys, setUpRecovery } from "../lib/crypto.mjs";
import { encryptedRoom, exchange, receive, roomReady, say } from "../lib/rooms.mjs";
import { step, until } from "../lib/wait.mjs";

export const name = "dehydrated-device";
export const weight = 3;

const PATH = "/_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device";

export async function run(context) {
    const [laptop, bob] = await Promise.all([context.newUser("alice"), context.newUser("bob")]);
    const { userId, http } = laptop.session;
    assert.ok(await laptop.getCrypto().isDehydrationSupported(), "the client finds that the server can do it");
    await bootstrapCrossSigning(laptop);
    const { encodedPrivateKey } = await setUpRecovery(laptop);
    const room = await encryptedRoom(laptop, [bob]);
    await exchange(bob, laptop, room, "before");

    await step("the device is dehydrated", laptop.getCrypto().startDehydration());
    const { device_id: id } = await http.ok("GET", PATH);
    const seen = (await queryKeys(bob.session, userId)).devices[id];
    assert.equal(seen.dehydrated, true, "others see that it is a dehydrated device");
    await until("Bob knows it", bob, async () => {
        const devices = (await bob.getCrypto().getUserDeviceInfo([userId])).get(userId);
        return devices?.get(id)?.dehydrated;
    });
    await step("the laptop logs out", laptop.logout(true));
    context.stop(laptop);
    await until("Bob hears that the laptop is gone", bob, async () => {
        const devices = (await bob.getCrypto().getUserDeviceInfo([userId])).get(userId);
        return devices.size === 1 && devices.has(id);
    });
    const missed = [await say(bob, room, "one"), await say(bob, room, "two")];

    const session = await context.login(laptop.session, "Alice's phone");
    const phone = await context.client(session, { recoveryKey: decodeRecoveryKey(encodedPrivateKey) });
    const crypto = phone.getCrypto();
    await roomReady(phone, room, [bob]);
    await until("the new device knows Alice's identity", phone, () => crypto.userHasCrossSigningKeys());
    await step(
        "the cross-signing keys are restored",
        crypto.bootstrapCrossSigning({
            authUploadDeviceSigningKeys: () => Promise.reject(new Error("must not create new keys")),
        }),
    );
    // Reads the old one's messages, and puts a new one in its place.
    await step("the device is rehydrated", crypto.startDehydration());
    const texts = [];
    for (const event of missed) texts.push((await receive(phone, room, event)).getContent().body);
    assert.deepEqual(texts, ["one", "two"]);
    const next = await session.http.ok("GET", PATH);
    assert.notEqual(next.device_id, id, "a new dehydrated device took the place of the old one");
    const { devices } = await queryKeys(bob.session, userId);
    assert.deepEqual(Object.keys(devices).sort(), [session.deviceId, next.device_id].sort());
}
