/** Parts of kafkajs 2.2.4 that it does not type. Only the repairs of kafkajs use them. */
declare module 'kafkajs/src/protocol/decoder.js' {
  class Decoder {
    constructor(buffer: Buffer);
    readVarInt(): number;
    readVarIntArray: <Item>(this: Decoder, reader: (decoder: Decoder) => Item) => Item[];
  }
  export default Decoder;
}

declare module 'kafkajs/src/protocol/encoder.js' {
  class Encoder {
    buf: Buffer;
    offset: number;
    readonly buffer: Buffer;
    ensureAvailable(length: number): void;
    writeEncoder(encoder: { readonly buf: Buffer; readonly buffer: Buffer }): this;
    writeInt8(value: number): this;
  }
  export default Encoder;
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

declare module 'kafkajs/src/network/connectionPool.js' {
  import type { Socket } from 'node:net';
  /** The connections to one broker. */
  class ConnectionPool {
    readonly pool: readonly { readonly socket?: Socket | null }[];
    send: (this: ConnectionPool, request: unknown) => Promise<unknown>;
  }
  export default ConnectionPool;
}

declare module 'kafkajs/src/consumer/consumerGroup.js' {
  class ConsumerGroup {
    readonly retrier: (attempt: (bail: (error: unknown) => void) => Promise<void>) => Promise<void>;
    /** Joins the group and takes over its part of the partitions; tells of it with GROUP_JOIN. */
    joinAndSync: (this: ConsumerGroup) => Promise<void>;
    heartbeat: (this: ConsumerGroup, every: { interval: number }) => Promise<void>;
  }
  export default ConsumerGroup;
}

declare module 'kafkajs/src/errors.js' {
  class KafkaJSError extends Error {
    readonly retriable: boolean;
  }
  const errors: {
    readonly KafkaJSRequestTimeoutError: new (message: string) => KafkaJSError;
    readonly KafkaJSProtocolError: new (error: {
      readonly type: string;
      readonly code: number;
      readonly message: string;
      readonly retriable: boolean;
    }) => KafkaJSError;
    readonly KafkaJSError: typeof KafkaJSError;
    readonly KafkaJSNonRetriableError: new (error: unknown, options: { readonly cause: unknown }) => KafkaJSError;
  };
  export default errors;
}

declare module 'kafkajs/src/protocol/recordBatch/crc32C/index.js' {
  function crc32C(bytes: Buffer): number;
  export default crc32C;
}

declare module 'kafkajs/src/protocol/requests/joinGroup/index.js' {
  interface JoinRequest {
    /** Empty: a new member. */
    readonly memberId: string;
    readonly groupProtocols: readonly object[];
  }
  interface Prepared {
    readonly response: {
      readonly decode: (bytes: Buffer) => Promise<object>;
      /** Throws what the coordinator refuses. */
      readonly parse: (decoded: object) => Promise<{ readonly memberId: string }>;
    };
  }
  const joinGroup: {
    protocol: (asked: { version: number }) => (wanted: JoinRequest) => Prepared;
  };
  export default joinGroup;
}

declare module 'kafkajs/src/protocol/requests/produce/index.js' {
  import type { Message } from 'kafkajs';
  /** What kafkajs' producer asks of a broker. */
  export interface ProduceRequest {
    readonly acks: number;
    /** How long the broker may wait for its replicas, ms. */
    readonly timeout: number;
    readonly compression?: number;
    readonly transactionalId?: string | null;
    readonly producerId: string | number;
    readonly producerEpoch: number;
    readonly topicData: readonly {
      readonly topic: string;
      readonly partitions: readonly {
        readonly partition: number;
        readonly firstSequence: number;
        readonly messages: readonly Message[];
      }[];
    }[];
  }
  /** As much of an encoder as is looked at when it holds a whole request. */
  interface Encoded {
    readonly buf: Buffer;
    readonly buffer: Buffer;
  }
  interface Prepared {
    readonly request: { readonly encode: () => Promise<Encoded> };
  }
  const produce: {
    readonly versions: readonly string[];
    protocol: (asked: { version: number }) => (wanted: ProduceRequest) => Prepared;
  };
  export default produce;
}

declare module 'kafkajs/src/protocol/requests/produce/v3/request.js' {
  import type { ProduceRequest } from 'kafkajs/src/protocol/requests/produce/index.js';
  function stockRequest(wanted: ProduceRequest): { encode: () => Promise<{ buffer: Buffer }> };
  export default stockRequest;
}
