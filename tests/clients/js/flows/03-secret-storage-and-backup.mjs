// Secret storage with a recovery key, and a key backup that fills up.
import assert from "node:assert/strict";
import { decodeRecoveryKey } from "matrix-js-sdk/lib/crypto-api/index.js";
import { bootstrapCrossSigning, setUpRecovery } from "../lib/crypto.mjs";
import { e } from "../lib/http.mjs";
import { encryptedRoom, say } from "../lib/rooms.mjs";
import { until } from "../lib/wait.mjs";

export const name = "secret-storage-and-backup";

export async function run(context) {
    const alice = await context.newUser("alice");
    const { http, userId } = alice.session;
    await http.refused(404, "M_NOT_FOUND", "GET", "/room_keys/version");
    await bootstrapCrossSigning(alice);
    const recoveryKey = await setUpRecovery(alice);
    assert.deepEqual(
        [...decodeRecoveryKey(recoveryKey.encodedPrivateKey)],
        [...recoveryKey.privateKey],
        "the recovery key can be written down",
    );

    // The secrets are on the server, encrypted for the key that is the default.
    const data = (type) => http.ok("GET", `/user/${e(userId)}/account_data/${e(type)}`);
    const { key: keyId } = await data("m.secret_storage.default_key");
    assert.equal((await data(`m.secret_storage.key.${keyId}`)).algorithm, "m.secret_storage.v1.aes-hmac-sha2");
    for (const secret of [
        "m.cross_signing.master",
        "m.cross_signing.self_signing",
        "m.cross_signing.user_signing",
        "m.megolm_backup.v1",
    ]) {
        assert.ok((await data(secret)).encrypted[keyId].ciphertext, `${secret} is stored`);
    }

    const info = await alice.getCrypto().getKeyBackupInfo();
    assert.equal(info.algorithm, "m.megolm_backup.v1.curve25519-aes-sha2");
    const trust = await alice.getCrypto().isKeyBackupTrusted(info);
    assert.ok(trust.trusted && trust.matchesDecryptionKey, "the backup is trusted");

    const room = await encryptedRoom(alice, []);
    const before = await http.ok("GET", "/room_keys/version");
    await say(alice, room, "a session to back up");
    const keys = await until("the session is in the backup", alice, async () => {
        const { rooms } = await http.ok("GET", "/room_keys/keys", undefined, { version: info.version });
        return rooms[room] && Object.values(rooms[room].sessions);
    });
    assert.equal(keys.length, 1);
    assert.ok(keys[0].session_data.ciphertext, "the backed up key is encrypted");
    const after = await http.ok("GET", "/room_keys/version");
    assert.equal(after.count, 1, "the backup counts its keys");
    assert.notEqual(after.etag, before.etag, "the etag changes with the keys");
}
