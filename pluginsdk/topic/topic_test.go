package topic

import "testing"

func TestTheBrokersRules(t *testing.T) {
	if !Match("a/+/#", "a/b/c") || Match("#", "$SYS/x") {
		t.Error("a filter matches otherwise than in the broker")
	}
	if ValidateFilter("a/#/b") == nil || ValidateFilter("$share/g/a") != nil || ValidateName("a/+") == nil || ValidateName("a/b") != nil {
		t.Error("a name or filter is judged otherwise than in the broker")
	}
}
