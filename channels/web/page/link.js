// The connection to the gateway: keeps one WebSocket open for as long as the page lives.

const WAIT_MS = [300, 1000, 2000, 4000, 8000, 15000];
const PING_MS = 25000;
const PONG_MS = 10000;
const SESSION_MS = 10000;
const SILENT_MAX = 4;

/*
 * Calls onOpen() for each new connection, onFrame(object) for each message, and onState(state, detail):
 *   "connecting"; "open"; "lost" (detail: ms until the next try); "refused" (detail: why, said by the gateway)
 */
export class Link {
  constructor({ onOpen, onFrame, onState, onSession }) {
    Object.assign(this, { onOpen, onFrame, onState, onSession });
    this.tries = 0;
    this.silent = 0; // sockets in a row that never opened, although the gateway was there
    this.socket = null;
    addEventListener("online", () => this.now());
    document.addEventListener("visibilitychange", () => document.hidden || this.wake());
  }

  get isOpen() {
    return this.socket?.readyState === WebSocket.OPEN;
  }

  send(frame) {
    if (this.isOpen) this.socket.send(JSON.stringify(frame));
    return this.isOpen;
  }

  // Try at once, if a try is being waited for.
  now() {
    if (this.socket || this.busy) return;
    clearTimeout(this.timer);
    this.connect();
  }

  // A machine that slept may hold a dead connection that looks alive.
  wake() {
    if (this.isOpen) this.ping();
    else this.now();
  }

  async connect() {
    this.busy = true;
    this.onState("connecting");
    const session = await this.session();
    this.busy = false;
    if (session) this.open();
  }

  // The cookie that says who we are; only a page can ask for it, see the gateway.
  async session() {
    try {
      const reply = await fetch("/session", { method: "POST", signal: AbortSignal.timeout(SESSION_MS) });
      if (reply.status === 401) {
        location.reload(); // to be asked for the key
        return false;
      }
      const body = await reply.json();
      if (reply.ok) {
        this.onSession(body);
        return true;
      }
      // 403 is final until somebody acts; anything else is a gateway, or a proxy, on its way up or down.
      if (reply.status === 403) this.retry("refused", body.error);
      else this.retry("lost");
    } catch {
      this.retry("lost");
    }
    return false;
  }

  open() {
    const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`);
    this.socket = socket;
    this.silent++;
    socket.onopen = () => {
      this.silent = 0;
      this.onState("open");
      this.onOpen();
      this.beat();
    };
    socket.onmessage = (event) => {
      this.tries = 0;
      clearTimeout(this.overdue);
      this.onFrame(JSON.parse(event.data));
    };
    socket.onclose = () => this.lose(socket);
  }

  lose(socket) {
    if (this.socket !== socket) return;
    this.socket = null;
    clearTimeout(this.beating);
    clearTimeout(this.overdue);
    if (this.silent < SILENT_MAX) this.retry("lost");
    else this.retry("refused", "it accepts no WebSocket. Are cookies allowed, and does a proxy let WebSockets through?");
  }

  // Longer and longer, and each page at another moment: they all lost the same gateway.
  retry(state, detail) {
    const wait = WAIT_MS[Math.min(this.tries++, WAIT_MS.length - 1)] * (0.5 + Math.random());
    this.timer = setTimeout(() => this.connect(), wait);
    this.onState(state, detail ?? wait);
  }

  beat() {
    clearTimeout(this.beating);
    this.beating = setTimeout(() => {
      this.ping();
      this.beat();
    }, PING_MS);
  }

  ping() {
    const socket = this.socket;
    this.send({ type: "ping" });
    clearTimeout(this.overdue);
    this.overdue = setTimeout(() => {
      socket.onclose = socket.onmessage = null; // closing a dead connection takes its time
      socket.close();
      this.lose(socket);
    }, PONG_MS);
  }
}
