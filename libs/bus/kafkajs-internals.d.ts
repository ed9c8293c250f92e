/** Parts of kafkajs 2.2.4 that it does not type. kafkajs-repairs.ts is their only user. */
declare module 'kafkajs/src/protocol/decoder.js' {
  class Decoder {
    constructor(buffer: Buffer);
    readVarInt(): number;
    readVarIntArray: <Item>(this: Decoder, reader: (decoder: Decoder) => Item) => Item[];
  }
  export default Decoder;
}

declare module 'kafkajs/src/protocol/recordBatch/header/v0/decoder.js' {
  import type Decoder from 'kafkajs/src/protocol/decoder.js';
  interface Header {
    key: string;
    value: Buffer | null;
  }
  function readHeader(decoder: Decoder): Header;
  export default readHeader;
}

declare module 'kafkajs/src/network/requestQueue/index.js' {
  class RequestQueue {
    pending: unknown[];
    throttledUntil: number;
    throttleCheckTimeoutId: NodeJS.Timeout | null;
    checkPendingRequests(): void;
    scheduleCheckPendingRequests(): void;
  }
  export default RequestQueue;
}
