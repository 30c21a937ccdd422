// Alice verifies her new device with the old one: the old one signs it, and hands over all secrets.
import assert from "node:assert/strict";
import { bootstrapCrossSigning, setUpRecovery } from "../lib/crypto.mjs";
import { encryptedRoom, receive, say } from "../lib/rooms.mjs";
import { assertTrusts, knowsKeys, verifyWithSas } from "../lib/sas.mjs";
import { until } from "../lib/wait.mjs";

export const name = "sas-own-devices";
export const weight = 3;

export async function run(context) {
    const first = await context.newUser("alice");
    await bootstrapCrossSigning(first);
    await setUpRecovery(first);
    const version = await first.getCrypto().getActiveSessionBackupVersion();
    const room = await encryptedRoom(first, []);
    const old = await say(first, room, "older than the second device");
    await until("the session is in the backup", first, async () => {
        const { count } = await first.session.http.ok("GET", `/room_keys/version/${version}`);
        return count === 1;
    });

    const second = await context.client(await context.login(first.session));
    await knowsKeys(second, first.session);
    await verifyWithSas(second, first, () => second.getCrypto().requestOwnUserVerification());
    await assertTrusts(second, first);
    await assertTrusts(first, second);

    const crypto = second.getCrypto();
    await until("the second device has the private cross-signing keys", second, async () => {
        const { privateKeysCachedLocally } = await crypto.getCrossSigningStatus();
        return Object.values(privateKeysCachedLocally).every(Boolean);
    });
    await until("the second device uses the backup", second, async () => {
        return (await crypto.getActiveSessionBackupVersion()) === version;
    });
    assert.equal((await receive(second, room, old)).getContent().body, "older than the second device");
}
