// A crypto device without an SDK around it: OlmMachine and plain HTTP. Cheap enough to run dozens.
import {
    DeviceId,
    EncryptionSettings,
    OlmMachine,
    RequestType,
    RoomId,
    UserId,
    initAsync,
} from "@matrix-org/matrix-sdk-crypto-wasm";
import { e } from "./http.mjs";

export class LightDevice {
    static async start(session) {
        await initAsync();
        const device = new LightDevice();
        device.session = session;
        device.machine = await OlmMachine.initialize(new UserId(session.userId), new DeviceId(session.deviceId));
        await device.sendOutgoing();
        return device;
    }

    /** Sends all that the machine wants to send: its keys, queries for the devices of others. */
    async sendOutgoing() {
        for (const request of await this.machine.outgoingRequests()) await this.send(request);
    }

    /** Sends one request of the machine, tells the machine the answer, and returns it. */
    async send(request) {
        const answer = await this.session.http.ok(...endpoint(request), request.body);
        await this.machine.markRequestAsSent(request.id, request.type, JSON.stringify(answer));
        return answer;
    }

    /** Fetches the devices of `userIds`. */
    async track(userIds) {
        await this.machine.updateTrackedUsers(userIds.map((id) => new UserId(id)));
        await this.sendOutgoing();
    }

    /** Opens missing Olm sessions with `userIds`; returns the answer of /keys/claim, if one was needed. */
    async claim(userIds) {
        const request = await this.machine.getMissingSessions(userIds.map((id) => new UserId(id)));
        return request && (await this.send(request));
    }

    /** Shares a room key with `userIds`, and sends an encrypted text to the room; returns its event id. */
    async say(roomId, userIds, body) {
        const room = () => new RoomId(roomId);
        const users = userIds.map((id) => new UserId(id));
        for (const request of await this.machine.shareRoomKey(room(), users, new EncryptionSettings())) {
            await this.send(request);
        }
        const content = JSON.stringify({ msgtype: "m.text", body });
        const encrypted = await this.machine.encryptRoomEvent(room(), "m.room.message", content);
        const path = `/rooms/${e(roomId)}/send/m.room.encrypted/${e(`txn-${body}`)}`;
        return (await this.session.http.ok("PUT", path, encrypted)).event_id;
    }

    close() {
        this.machine.close();
    }
}

function endpoint(request) {
    switch (request.type) {
        case RequestType.KeysUpload:
            return ["POST", "/keys/upload"];
        case RequestType.KeysQuery:
            return ["POST", "/keys/query"];
        case RequestType.KeysClaim:
            return ["POST", "/keys/claim"];
        case RequestType.ToDevice:
            return ["PUT", `/sendToDevice/${e(request.event_type)}/${e(request.txn_id)}`];
        default:
            throw new Error(`unexpected request of type ${RequestType[request.type]}`);
    }
}
