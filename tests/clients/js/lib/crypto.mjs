// Steps around keys that several flows share.
import assert from "node:assert/strict";
import { step, until } from "./wait.mjs";

/**
 * Answers user-interactive authentication with the password: the request goes out without auth first, and a 401 is
 * answered. Every challenge seen is put into `challenges`.
 */
export function withPassword(session, challenges = []) {
    return async (makeRequest) => {
        try {
            return await makeRequest(null);
        } catch (error) {
            if (error.httpStatus !== 401) throw error;
            challenges.push(error.data);
            assertOffersPassword(error.data);
            return await makeRequest(passwordAuth(session, error.data.session));
        }
    };
}

export function assertOffersPassword(challenge) {
    assert.equal(typeof challenge?.session, "string", "the 401 carries a session");
    const stages = challenge.flows?.map((flow) => flow.stages);
    assert.ok(
        stages?.some((list) => list.length === 1 && list[0] === "m.login.password"),
        `a flow of m.login.password alone is offered: ${JSON.stringify(stages)}`,
    );
    assert.equal(challenge.errcode, undefined, "a challenge to a first request carries no errcode");
}

export function passwordAuth(session, uiaSession, password = session.password) {
    return {
        type: "m.login.password",
        identifier: { type: "m.id.user", user: session.userId },
        password,
        session: uiaSession,
    };
}

/** Creates the cross-signing keys of a new user. */
export async function bootstrapCrossSigning(client) {
    const crypto = client.getCrypto();
    await step(
        "cross-signing keys are uploaded",
        crypto.bootstrapCrossSigning({ authUploadDeviceSigningKeys: withPassword(client.session) }),
    );
    await until("own device is seen as cross-signed", client, async () => {
        const status = await crypto.getDeviceVerificationStatus(client.session.userId, client.session.deviceId);
        return status?.signedByOwner && status.crossSigningVerified;
    });
}

/** Creates secret storage and a key backup; returns the recovery key (`encodedPrivateKey`, `privateKey`). */
export async function setUpRecovery(client) {
    const crypto = client.getCrypto();
    const recoveryKey = await crypto.createRecoveryKeyFromPassphrase();
    await step(
        "secret storage and backup are created",
        crypto.bootstrapSecretStorage({
            createSecretStorageKey: async () => recoveryKey,
            setupNewSecretStorage: true,
            setupNewKeyBackup: true,
        }),
    );
    await until("secret storage is ready", client, () => crypto.isSecretStorageReady());
    await until("key backup is active", client, () => crypto.getActiveSessionBackupVersion());
    return recoveryKey;
}

/** What the server says about the keys of one user, seen by `session`. */
export async function queryKeys(session, userId) {
    const answer = await session.http.ok("POST", "/keys/query", { device_keys: { [userId]: [] } });
    return {
        devices: answer.device_keys?.[userId] ?? {},
        master: answer.master_keys?.[userId],
        selfSigning: answer.self_signing_keys?.[userId],
        userSigning: answer.user_signing_keys?.[userId],
    };
}

/** The only key of a cross-signing key object, as `ed25519:...`. */
export function keyIdOf(crossSigningKey) {
    const ids = Object.keys(crossSigningKey?.keys ?? {});
    assert.equal(ids.length, 1, "a cross-signing key object holds one key");
    return ids[0];
}
