// An encrypted file goes up, its key through an encrypted room, and the same file comes down.
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { Attachment, EncryptedAttachment, initAsync } from "@matrix-org/matrix-sdk-crypto-wasm";
import { encryptedRoom, receive } from "../lib/rooms.mjs";
import { step } from "../lib/wait.mjs";

export const name = "encrypted-attachment";

const sha256 = (bytes) => createHash("sha256").update(bytes).digest("base64").replace(/=+$/, "");

export async function run(context) {
    await initAsync();
    const [alice, bob] = await Promise.all([context.newUser("alice"), context.newUser("bob")]);
    const room = await encryptedRoom(alice, [bob]);

    const file = new Uint8Array(randomBytes(300_000));
    const encrypted = Attachment.encrypt(file);
    const ciphertext = encrypted.encryptedData;
    const info = JSON.parse(encrypted.mediaEncryptionInfo);
    const { content_uri: url } = await step(
        "the upload",
        alice.uploadContent(Buffer.from(ciphertext), { type: "application/octet-stream", includeFilename: false }),
    );
    assert.match(url, /^mxc:\/\/[^/]+\/[A-Za-z0-9_-]+$/);
    const { event_id: eventId } = await step(
        "the message is sent",
        alice.sendMessage(room, {
            msgtype: "m.file",
            body: "noise.bin",
            filename: "noise.bin",
            info: { size: file.length, mimetype: "application/octet-stream" },
            file: { ...info, url },
        }),
    );

    const received = (await receive(bob, room, eventId)).getContent().file;
    assert.equal(received.url, url);
    const http = bob.mxcUrlToHttp(url, undefined, undefined, undefined, false, true, true);
    const path = http.slice(context.baseUrl.length);
    assert.match(path, /^\/_matrix\/client\/v1\/media\/download\//, "authenticated media");
    await context.http.refused(401, "M_MISSING_TOKEN", "GET", path);
    const download = await bob.session.http.request("GET", path);
    assert.equal(download.status, 200, `download answers ${download.status} ${download.text.slice(0, 200)}`);
    assert.equal(download.headers.get("content-type"), "application/octet-stream");
    assert.equal(download.bytes.length, ciphertext.length, "the length");
    assert.equal(sha256(download.bytes), received.hashes.sha256, "the hash in the message fits the download");
    const { url: _, ...keys } = received;
    const plain = Attachment.decrypt(new EncryptedAttachment(download.bytes, JSON.stringify(keys)));
    assert.equal(sha256(plain), sha256(file), "the decrypted file is the one sent");
}
