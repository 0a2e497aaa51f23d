# The ONNX reader's messages: protoc-c turns src/model/onnx.proto into C under $(BUILD)/gen/. That C is the
# generator's and is compiled without the project's warnings.

# Who includes the header finds it; it is protobuf-c's library that understands it.
ALL_CFLAGS += -isystem $(BUILD)/gen
LIBS       += -lprotobuf-c

PROTO_C := $(BUILD)/gen/onnx.pb-c.c
PROTO_H := $(BUILD)/gen/onnx.pb-c.h

$(PROTO_C) $(PROTO_H) &: src/model/onnx.proto
	@mkdir -p $(@D)
	$(Q)protoc-c --proto_path=src/model --c_out=$(BUILD)/gen onnx.proto

$(PROTO_C:%.c=%.o): $(PROTO_C) $(FLAGS_STAMP)
	$(SAY_CC)
	$(Q)$(CC) $(ALL_CFLAGS) -w -c $< -o $@
$(BUILD)/libvoxconv.a: $(PROTO_C:%.c=%.o)

# Who includes the header waits for it.
$(filter $(BUILD)/src/model/%,$(LIB_OBJ)) $(UNIT_OBJ) \
$(filter $(BUILD)/src/model/%,$(TIDY_FILES:%.c=$(BUILD)/%.tidy)): | $(PROTO_H)
