// Cross-signing is set up; the server shows the right keys to the right people.
import assert from "node:assert/strict";
import { bootstrapCrossSigning, keyIdOf, queryKeys } from "../lib/crypto.mjs";
import { step } from "../lib/wait.mjs";

export const name = "cross-signing-bootstrap";

export async function run(context) {
    const [alice, bob] = await Promise.all([context.newUser("alice"), context.register("bob")]);
    // Whether a first upload asks for the password depends on the age of the server's spec version: both are right,
    // and what is asked for is answered. Replacing the keys must ask: see reset-and-delete-with-uia.
    await bootstrapCrossSigning(alice);

    const crypto = alice.getCrypto();
    const status = await step("cross-signing status", crypto.getCrossSigningStatus());
    assert.ok(status.publicKeysOnDevice, "the public keys are known");
    assert.deepEqual(status.privateKeysCachedLocally, {
        masterKey: true,
        selfSigningKey: true,
        userSigningKey: true,
    });
    assert.ok(await crypto.isCrossSigningReady(), "cross-signing is ready");

    const { userId, deviceId } = alice.session;
    const own = await queryKeys(alice.session, userId);
    assert.deepEqual(own.master.usage, ["master"]);
    assert.deepEqual(own.selfSigning.usage, ["self_signing"]);
    assert.deepEqual(own.userSigning.usage, ["user_signing"]);
    assert.ok(
        own.devices[deviceId].signatures[userId][keyIdOf(own.selfSigning)],
        "the device is signed with the self-signing key",
    );
    for (const key of [own.selfSigning, own.userSigning]) {
        assert.ok(key.signatures[userId][keyIdOf(own.master)], "signed with the master key");
    }

    const seenByBob = await queryKeys(bob, userId);
    assert.deepEqual(seenByBob.master.keys, own.master.keys, "Bob sees the master key");
    assert.deepEqual(seenByBob.selfSigning, own.selfSigning, "Bob sees the self-signing key as it was uploaded");
    assert.equal(seenByBob.userSigning, undefined, "Bob does not see the user-signing key");
    assert.ok(
        seenByBob.devices[deviceId].signatures[userId][keyIdOf(own.selfSigning)],
        "Bob sees the device as signed",
    );
}
