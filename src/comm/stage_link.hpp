#pragma once

#include <cstddef>
#include <optional>

#include "comm/grid.hpp"
#include "comm/matrix_channel.hpp"
#include "core/matrix_view.hpp"

namespace fcmnist::comm {

/// What a stage of a pipeline sends to its neighbours in the same replica. The activations of microbatches go
/// to the next stage. The gradients by these activations go back to the stage before. At the ends of the
/// pipeline, where a neighbour is missing, the calls do nothing. With one stage no call does anything.
///
/// The link has memory for three matrices in each direction, and posts its receives ahead. A send waits only
/// while the three matrices before it are on their way. MPI moves some messages by itself while both stages
/// compute. It moves the others when a stage makes a call of MPI.
class StageLink {
 public:
  /// What the messages are for. Two links that are in use at the same time must differ in their purpose.
  /// An evaluation has no gradients.
  enum class Purpose { training, evaluation };

  /// `grid` must outlive the link.
  ///   inputs, outputs  units of this stage's input and of its last layer
  ///   max_samples      samples of the largest microbatch
  ///   give_way         see PolledWait::in_step()
  ///   number_bytes     bytes of the largest number in the matrices; smaller ones can be sent too
  StageLink(const Grid& grid, Purpose purpose, std::size_t inputs, std::size_t outputs,
            std::size_t max_samples, bool give_way, std::size_t number_bytes = sizeof(float));

  /// Bytes of memory that the link of a rank needs.
  ///   neighbours_before  0 for the first stage, else 1
  ///   neighbours_after   0 for the last stage, else 1
  static std::size_t bytes(Purpose purpose, std::size_t neighbours_before, std::size_t neighbours_after,
                           std::size_t inputs, std::size_t outputs, std::size_t max_samples,
                           std::size_t number_bytes = sizeof(float));

  /// Announces how many microbatches follow.
  void begin(std::size_t microbatches);
  /// Receives an activation from the stage before.
  ///   out  (inputs x samples) written
  template <class T>
  void receive_activation(MatrixView<T> out) {
    if (activation_in_) activation_in_->receive(bytes_of(out));
  }
  /// Sends an activation to the next stage.
  ///   activation  (outputs x samples)
  template <class T>
  void send_activation(MatrixView<T> activation) {
    if (activation_out_) activation_out_->send(bytes_of(activation));
  }
  /// Receives a gradient from the next stage.
  ///   out  (outputs x samples) written
  template <class T>
  void receive_gradient(MatrixView<T> out) {
    if (gradient_in_) gradient_in_->receive(bytes_of(out));
  }
  /// Sends a gradient to the stage before.
  ///   gradient  (inputs x samples)
  template <class T>
  void send_gradient(MatrixView<T> gradient) {
    if (gradient_out_) gradient_out_->send(bytes_of(gradient));
  }
  /// Lets MPI move the matrices that are on their way. Never waits.
  void progress();
  /// Waits until all matrices that were sent have left.
  void finish();

 private:
  std::optional<MatrixReceiver> activation_in_, gradient_in_;
  std::optional<MatrixSender> activation_out_, gradient_out_;
};

}  // namespace fcmnist::comm
