// Alice loses her device. The new one has the recovery key only: it becomes cross-signed, and reads the history.
import assert from "node:assert/strict";
import { decodeRecoveryKey } from "matrix-js-sdk/lib/crypto-api/index.js";
import { bootstrapCrossSigning, setUpRecovery } from "../lib/crypto.mjs";
import { encryptedRoom, exchange, receive, roomReady } from "../lib/rooms.mjs";
import { step, until } from "../lib/wait.mjs";

export const name = "second-device-recovery";
export const weight = 3;

export async function run(context) {
    const [first, bob] = await Promise.all([context.newUser("alice"), context.newUser("bob")]);
    await bootstrapCrossSigning(first);
    const { encodedPrivateKey } = await setUpRecovery(first);
    const { userId, http } = first.session;

    const room = await encryptedRoom(first, [bob]);
    const history = [
        await exchange(first, bob, room, "written by Alice"),
        await exchange(bob, first, room, "written by Bob"),
    ];
    const version = await first.getCrypto().getActiveSessionBackupVersion();
    await until("both sessions are in the backup", first, async () => {
        const { count } = await http.ok("GET", `/room_keys/version/${version}`);
        return count === 2;
    });
    context.stop(first);

    const session = await context.login(first.session, "Alice's second device");
    const second = await context.client(session, { recoveryKey: decodeRecoveryKey(encodedPrivateKey) });
    const crypto = second.getCrypto();
    await roomReady(second, room, [bob]);
    const unread = await until("the history has arrived", second, () => {
        const events = history.map((event) => second.getRoom(room).findEventById(event.getId()));
        return events.every(Boolean) && events;
    });
    for (const event of unread) await second.decryptEventIfNeeded(event);
    assert.ok(unread.every((event) => event.isDecryptionFailure()), "the new device cannot read the history yet");

    await until("the new device knows Alice's identity", second, () => crypto.userHasCrossSigningKeys());
    // With secrets from secret storage the new device signs itself.
    await step(
        "the cross-signing keys are restored",
        crypto.bootstrapCrossSigning({
            authUploadDeviceSigningKeys: () => Promise.reject(new Error("must not create new keys")),
        }),
    );
    await until("the new device is cross-signed for itself", second, async () => {
        const status = await crypto.getDeviceVerificationStatus(userId, session.deviceId);
        return status?.crossSigningVerified && (await crypto.isCrossSigningReady());
    });
    await step("the backup key is restored", crypto.loadSessionBackupPrivateKeyFromSecretStorage());
    await step("the backup is enabled", crypto.checkKeyBackupAndEnable());
    assert.equal(await crypto.getActiveSessionBackupVersion(), version, "the same backup goes on");
    const restored = await step("the backup is restored", crypto.restoreKeyBackup());
    assert.equal(restored.total, 2);
    assert.equal(restored.imported, 2);

    const texts = [];
    for (const event of history) texts.push((await receive(second, room, event.getId())).getContent().body);
    assert.deepEqual(texts, ["written by Alice", "written by Bob"]);

    // Bob hears of the new device, and that Alice signed it.
    await until("Bob sees the new device as cross-signed", bob, async () => {
        const status = await bob.getCrypto().getDeviceVerificationStatus(userId, session.deviceId);
        return status?.signedByOwner;
    });
    await exchange(bob, second, room, "Welcome back");
    await exchange(second, bob, room, "Here I am");
}
