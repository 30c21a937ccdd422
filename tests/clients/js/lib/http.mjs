// Plain HTTP against the client-server API, for what must be seen exactly as the server says it.
import { stepDeadline } from "./wait.mjs";

const V3 = "/_matrix/client/v3";
export const e = encodeURIComponent;

export class Http {
    /** `baseUrl` without a final slash; `token` is the access token sent as a header, if any. */
    constructor(baseUrl, token) {
        this.baseUrl = baseUrl;
        this.token = token;
    }

    withToken(token) {
        return new Http(this.baseUrl, token);
    }

    /** Any status is an answer. Paths that do not start with `/_` are below /_matrix/client/v3. */
    async request(method, path, body, query) {
        const url = new URL(this.baseUrl + (path.startsWith("/_") ? path : V3 + path));
        for (const [key, value] of Object.entries(query ?? {})) url.searchParams.set(key, String(value));
        const headers = {};
        if (this.token) headers.authorization = `Bearer ${this.token}`;
        if (body !== undefined) headers["content-type"] = "application/json";
        const response = await fetch(url, {
            method,
            headers,
            body: body === undefined ? undefined : typeof body === "string" ? body : JSON.stringify(body),
            signal: AbortSignal.timeout(stepDeadline),
        });
        const bytes = new Uint8Array(await response.arrayBuffer());
        const text = new TextDecoder().decode(bytes);
        let json;
        try {
            json = JSON.parse(text);
        } catch {
            // Not JSON; `json` stays undefined.
        }
        return { status: response.status, json, text, bytes, headers: response.headers };
    }

    /** The JSON body of a 200 answer; everything else throws. */
    async ok(method, path, body, query) {
        const answer = await this.request(method, path, body, query);
        if (answer.status !== 200 || answer.json === undefined) {
            throw new Error(`${method} ${path} answered ${answer.status} ${answer.text.slice(0, 200)}`);
        }
        return answer.json;
    }

    /** Expects a refusal with this status (and errcode), and returns its body. */
    async refused(status, errcode, method, path, body, query) {
        const answer = await this.request(method, path, body, query);
        if (answer.status !== status || (errcode && answer.json?.errcode !== errcode)) {
            throw new Error(
                `${method} ${path} should answer ${status} ${errcode ?? ""}, got ${answer.status} ${answer.text.slice(0, 200)}`,
            );
        }
        return answer.json;
    }

    sync(since, timeout = 0, filter) {
        const query = { timeout };
        if (since) query.since = since;
        if (filter) query.filter = JSON.stringify(filter);
        return this.ok("GET", "/sync", undefined, query);
    }
}
