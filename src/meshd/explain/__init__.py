"""What would happen to a request at this proxy, rule by rule, without sending it: ``meshctl explain`` and /explain."""
