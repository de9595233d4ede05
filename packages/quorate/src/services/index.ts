/** The etcd v3 services over gRPC, and the server that puts them in front of a node. */
export { type GrpcLimits, GrpcServer } from "./grpc/server.js";
export { GrpcCode, GrpcError } from "./grpc/status.js";
export { API_VERSION } from "./member-services.js";
export { openServer, type QuorateServer, type ServerOptions } from "./server.js";
