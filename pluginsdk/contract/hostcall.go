package contract

import (
	"encoding/binary"
)

// Call numbers a host call of a process plugin; the arguments and results are
// those of the import of the same name.
type Call uint32

// The host calls.
const (
	CallLog          Call = 1  // Arg level; Data text; no reply
	CallPublish      Call = 2  // Data one publish record
	CallStorePut     Call = 3  // Seq, Record, Arg ttl_ms
	CallStoreDel     Call = 4  // Seq, Record
	CallStoreDeliver Call = 5  // Seq, Record, Arg options
	CallStoreCount   Call = 6  // Data filter
	CallMetricAdd    Call = 7  // Seq kind, Record id, Arg float64 bits; no reply
	CallKVGet        Call = 8  // Data key; the reply's Data is the value
	CallKVSet        Call = 9  // Record key length, Arg ttl_ms, Data key and value
	CallKVDel        Call = 10 // Data key
	CallKVIncr       Call = 11 // Arg delta, Data key; the reply's Result is the new value
	CallTimerSet     Call = 12 // Record id, Arg milliseconds; 0: stops it
	CallKVCas        Call = 13 // Record key length, Arg old length (-1: absent), Data key, old, value
	CallResume       Call = 14 // Seq token, Data a verdict block of one record
	CallHTTPStart    Call = 15 // Seq id, Arg timeout in milliseconds, Data the request
	CallSessionGet   Call = 16 // Data client id; the reply's Data is a connected record
	CallSessionKick  Call = 17 // Data client id
	CallCacheForget  Call = 19 // Data prefix of topics; empty: all
	CallWant         Call = 21 // Record number of the hook, Data filters, each with its length
	CallHashVerify   Call = 18 // Seq id, Record length of the hash, Data hash, password
	CallMetricPut    Call = 20 // Seq kind, Arg float64 bits, Data name

	CallPublishKept Call = 22 // Data one publish record; the reply comes when it is safe

	CallRefuse      Call = 28 // Record number of the hook, Data filters, each with its length
	CallPublishOnce Call = 29 // Record key length, Arg ttl_ms, Data key and one publish record, or only the key; the reply comes when it is safe

	CallSchedulePut    Call = 24 // Seq, Record, Arg milliseconds, Data u8 kind, topic; the reply's Result is the number
	CallScheduleCancel Call = 25 // Seq number
	CallScheduleList   Call = 26 // Seq number, Arg due; the reply's Data is publish records
	CallScheduleCount  Call = 27 // the reply's Result is the number of messages
	CallScheduleFind   Call = 30 // Seq number; the reply's Result is when it is due
)

// Replies tells whether the host answers the call.
func (c Call) Replies() bool { return c != CallLog && c != CallMetricAdd }

// Sizes of the fixed part of a host call and of its reply.
const (
	HostCallSize  = 24
	HostReplySize = 8
)

// HostCall is the data of a frame of kind HOSTCALL: u32 call, u32 record, u64
// seq, i64 arg, then bytes.
type HostCall struct {
	Call   Call
	Record uint32 // index of the record that the call is about
	Seq    uint64 // seq of the frame that holds the record; must be in progress
	Arg    int64
	Data   []byte
}

// AppendHostCall appends c's bytes.
func AppendHostCall(dst []byte, c HostCall) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(c.Call))
	dst = binary.LittleEndian.AppendUint32(dst, c.Record)
	dst = binary.LittleEndian.AppendUint64(dst, c.Seq)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(c.Arg))
	return append(dst, c.Data...)
}

// ParseHostCall reads a host call; Data is a view of b.
func ParseHostCall(b []byte) (HostCall, error) {
	if len(b) < HostCallSize {
		return HostCall{}, fault(ErrFrame, ": host call of ", len(b), " bytes")
	}
	return HostCall{
		Call:   Call(binary.LittleEndian.Uint32(b)),
		Record: binary.LittleEndian.Uint32(b[4:]),
		Seq:    binary.LittleEndian.Uint64(b[8:]),
		Arg:    int64(binary.LittleEndian.Uint64(b[16:])),
		Data:   b[HostCallSize:],
	}, nil
}

// AppendHostReply appends a reply: i64 result (an [Errno] below zero), then bytes.
func AppendHostReply(dst []byte, result int64, data []byte) []byte {
	return append(binary.LittleEndian.AppendUint64(dst, uint64(result)), data...)
}

// ParseHostReply reads a reply; data is a view of b.
func ParseHostReply(b []byte) (result int64, data []byte, err error) {
	if len(b) < HostReplySize {
		return 0, nil, fault(ErrFrame, ": host reply of ", len(b), " bytes")
	}
	return int64(binary.LittleEndian.Uint64(b)), b[HostReplySize:], nil
}
