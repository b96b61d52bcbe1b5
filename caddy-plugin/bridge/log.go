package bridge

/*
#include "shim.h"
*/
import "C"

import "time"

// The levels that log records usually have; any other number is possible.
const (
	LogDebug = C.IGOR_LOG_DEBUG
	LogInfo  = C.IGOR_LOG_INFO
	LogWarn  = C.IGOR_LOG_WARN
	LogError = C.IGOR_LOG_ERROR
)

// LogRecord is one line for the log. Its slices lie in the library's memory and are valid until the reader's next call.
type LogRecord struct {
	Level       int
	Time        time.Time
	Logger      []byte // "php", "worker" or "engine"
	Message     []byte
	Fields      []byte // packed pairs
	ContextJSON []byte
	Dropped     uint64
}

// NextLog waits for a record, at most timeout (ErrTimeout). ErrGone: the log was closed and all of it was read. There is
// one reader, and it stays on one OS thread, because the record is valid until that thread's next call.
func NextLog(timeout time.Duration, record *LogRecord) error {
	var c C.igor_log_record
	if status := C.shim_log_next(millis(timeout), &c); status != C.IGOR_OK {
		return check(status, nil)
	}
	record.Level = int(c.level)
	record.Time = time.Unix(0, int64(c.time_unix_ns))
	record.Logger = view(c.logger)
	record.Message = view(c.message)
	record.Fields = view(c.fields)
	record.ContextJSON = view(c.context_json)
	record.Dropped = uint64(c.dropped)
	return nil
}

// CloseLog ends the log: the reader gets what is left, then ErrGone.
func CloseLog() { C.igor_log_close() }
